// Which addresses stay on this machine. Imports nothing.

/** Whether a host name or address, IPv6 with or without brackets, is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
