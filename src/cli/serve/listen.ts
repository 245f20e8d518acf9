/** @file A fetch handler behind a socket of Node. */
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { LowrankError } from '../../errors.js'

/** Answers requests. */
export type Handler = (request: Request) => Promise<Response> | Response

/** A port cannot be had. */
export class ListenError extends LowrankError {}

/** Where and how sockets are listened on. */
export interface ListenOptions {
  readonly host: string
  /** 0 takes one that is free. */
  readonly port: number
  /** Milliseconds that a request may take to arrive. */
  readonly bodyTimeout: number
}

/** An open socket. */
export interface Listener {
  /** `http://127.0.0.1:8000`. */
  readonly url: string
  /** Answers requests from now on. */
  use(handler: Handler): void
  /** Takes no more connections. @returns when those that are open have ended */
  close(): Promise<void>
}

/** Milliseconds that a connection may idle: more than load balancers keep theirs, so that none sends into one that is closing. */
const IDLE = 75_000
/** Milliseconds that headers may take. */
const HEADERS = 20_000

/** How long a request may take in all, beyond what its body may: what is left is the time in which the app refuses it itself. */
const GRACE = 5_000

/**
 * Opens a socket.
 * @param first answers until there is another handler
 * @throws ListenError naming the port that is taken, or the host that is not this machine's
 */
export async function listen(first: Handler, { host, port, bodyTimeout }: ListenOptions): Promise<Listener> {
  const { createAdaptorServer } = await import('@hono/node-server')
  let handler = first
  const server = createAdaptorServer({
    fetch: (request) => handler(request),
    overrideGlobalObjects: false,
    serverOptions: { keepAliveTimeout: IDLE, headersTimeout: HEADERS, requestTimeout: HEADERS + bodyTimeout + GRACE },
  }) as HttpServer
  const connections = new Connections(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new ListenError(reason(error, host, port), { cause: error })))
    server.listen(port, host, resolve)
  })
  const { address, family, port: taken } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    use: (next) => {
      handler = next
    },
    close: () =>
      new Promise((resolve) => {
        const idle = setInterval(() => connections.endIdle(), 50)
        server.close(() => {
          clearInterval(idle)
          resolve()
        })
        connections.endIdle()
      }),
  }
}

/**
 * The connections of a server. Those that wait for a first request do not count as idle to Node; browsers and load balancers open some in
 * advance.
 */
class Connections {
  /** Answers that each is in the middle of. */
  private readonly busy = new Map<Socket, number>()

  constructor(server: HttpServer) {
    server.on('connection', (socket) => {
      this.busy.set(socket, 0)
      socket.on('close', () => this.busy.delete(socket))
    })
    server.on('request', ({ socket }, response) => {
      this.add(socket, 1)
      response.on('close', () => this.add(socket, -1))
    })
  }

  endIdle(): void {
    for (const [socket, answers] of this.busy) if (answers === 0) socket.destroy()
  }

  private add(socket: Socket, count: number): void {
    const before = this.busy.get(socket)
    if (before !== undefined) this.busy.set(socket, before + count)
  }
}

function reason({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  if (code === 'EADDRINUSE')
    return `port ${port} of ${host} is taken by another program; choose another --port, or 0 for one that is free`
  if (code === 'EACCES') return `port ${port} needs rights that this user has not; choose a --port from 1024 on`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${host} is no address of this machine; --host 127.0.0.1 is for this machine alone, 0.0.0.0 for its network`
  return `${host}, port ${port}, cannot be listened on: ${message}`
}

/** Whether a host is reached from this machine alone. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')
