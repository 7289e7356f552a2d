/** An access list in the form of system.posix_acl_access: u::rwx, u:7:r--, g::---, m::rw-, o::r-- */
export const LIST = Buffer.from(
  '02000000' +
    '01000700ffffffff' +
    '0200040007000000' +
    '04000000ffffffff' +
    '10000600ffffffff' +
    '20000400ffffffff',
  'hex',
);
