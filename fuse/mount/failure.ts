/** An expected failure a user is told about: one clear sentence, and the errno behind it. */
export class Failure {
  /** Negative errno. */
  readonly errno: number;
  readonly message: string;

  constructor(errno: number, message: string) {
    this.errno = errno;
    this.message = message;
  }
}
