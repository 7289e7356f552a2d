/** What is timed, each a command that a developer gives, in the order in which one would. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PROJECT } from '../fuse/peers/peer.ts';

export interface Task {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where it runs, below the peer's directory. */
  readonly cwd?: string;
  /** Files it needs in the peer's directory, put there before the clock runs. */
  readonly prepare?: (directory: string) => void;
}

export interface Tasks {
  readonly tasks: readonly Task[];
  /** What the reader of the table must know about them. */
  readonly notes: readonly string[];
}

/** What `tsc` compiles, and what `npm ci` goes by. */
const SOURCES = ['actors', 'cli', 'fuse', 'kernels', 'runtime', 'package.json', 'package-lock.json'];
const TSCONFIG = {
  extends: path.join(PROJECT, 'tsconfig.json'),
  compilerOptions: {
    rootDir: '.',
    outDir: 'dist',
    incremental: false,
    tsBuildInfoFile: null,
    typeRoots: ['node_modules/@types'],
  },
  include: ['actors', 'cli', 'fuse', 'kernels', 'runtime'],
  exclude: ['kernels/assembly'],
};

function copyProject(directory: string): void {
  const project = path.join(directory, 'project');
  fs.mkdirSync(project);
  for (const name of SOURCES)
    fs.cpSync(path.join(PROJECT, name), path.join(project, name), { recursive: true });
  fs.writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
}

const NPM_CI = ['ci', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** Whether npm has all packages of the project in its cache: shown by installing them in `scratch`. */
function npmIsOffline(scratch: string): boolean {
  fs.mkdirSync(scratch);
  for (const name of ['package.json', 'package-lock.json'])
    fs.copyFileSync(path.join(PROJECT, name), path.join(scratch, name));
  const { status } = spawnSync('npm', NPM_CI, { cwd: scratch, stdio: 'ignore' });
  fs.rmSync(scratch, { recursive: true, force: true });
  return status === 0;
}

function install(scratch: string): Task & { readonly note: string } {
  const place = { cwd: 'project', prepare: copyProject };
  if (npmIsOffline(scratch)) {
    const note =
      'npm ci: --offline --ignore-scripts, from a cache on the host that has all packages of this project';
    return { name: 'npm ci', command: 'npm', args: NPM_CI, ...place, note };
  }
  const modules = fs.realpathSync(path.join(PROJECT, 'node_modules'));
  const note =
    'npm has not all packages in its cache: node_modules of this project is copied in place of "npm ci"';
  return { name: 'cp -r node_modules', command: 'cp', args: ['-r', modules, 'node_modules'], ...place, note };
}

function search(): Task & { readonly note: string } {
  if (spawnSync('rg', ['--version']).error === undefined)
    return {
      name: 'rg',
      command: 'rg',
      args: ['-c', 'offset.*length', 'tree'],
      note: 'rg: a regular expression in all files of the tree',
    };
  const args = ['-r', '-c', '-e', 'offset.*length', 'tree'];
  return {
    name: 'grep -r',
    command: 'grep',
    args,
    note: 'no rg (apt-get install ripgrep): grep -r in its place',
  };
}

/** Those that are `wanted`, all if undefined. */
export function makeTasks(
  repository: string,
  archive: string,
  scratch: string,
  wanted: readonly string[] | undefined,
): Tasks {
  const isInstalling = wanted === undefined || wanted.some((name) => ['npm ci', 'tsc'].includes(name));
  const installed = isInstalling ? [install(scratch)] : [];
  const searched = search();
  const tasks: Task[] = [
    { name: 'git clone', command: 'git', args: ['clone', '-q', `file://${repository}`, 'clone'] },
    { name: 'git status', command: 'git', args: ['-C', 'clone', 'status', '--porcelain'] },
    { name: 'tar x', command: 'tar', args: ['xf', archive] },
    searched,
    { name: 'cp -r', command: 'cp', args: ['-r', 'tree', 'copy'] },
    ...installed,
    { name: 'tsc', command: 'node', args: ['node_modules/typescript/bin/tsc', '-p', '.'], cwd: 'project' },
    { name: 'rm -rf', command: 'rm', args: ['-rf', 'tree', 'clone', 'copy', 'project'] },
  ];
  const notes = [
    ...installed.map(({ note }) => note),
    searched.note,
    'tsc: the sources of this project, without tests',
  ];
  return { tasks: tasks.filter(({ name }) => wanted?.includes(name) ?? true), notes };
}
