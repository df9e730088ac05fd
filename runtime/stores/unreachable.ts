/** Codes of the operating system that say that a server cannot be reached, whichever driver reports them. */
export const UNREACHABLE_CODES = /^(ECONN|EPIPE|ENOTFOUND|ENOENT|EAI_|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EACCES)/;
