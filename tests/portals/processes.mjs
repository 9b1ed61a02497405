// What runs while the portals are attacked: each process in a group of its own, stopped by its id whatever happens.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const running = new Set();

/** Throwaway data of all portals; other users, such as Apache's, may look in. */
export const place = mkdtempSync(path.join(os.tmpdir(), 'anteport-portals-'));
chmodSync(place, 0o755);

function kill(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

export const run = promisify(execFile);

/** Starts a program and waits until it listens on `port`, or until `ready` says so. Whoever gets it may `stop` it. */
export async function start(name, command, args, { port, env = {}, cwd = place, ready } = {}) {
  const log = path.join(place, `${name}.log`);
  const out = openSync(log, 'a');
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', out, out], detached: true });
  const failed = once(child, 'error').then(([error]) => { throw error; });
  failed.catch(() => {});
  running.add(child);
  const listens = ready ?? (() => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  }));
  const until = Date.now() + 60_000;
  while (!(await Promise.race([listens(), failed]))) {
    if (child.exitCode !== null || Date.now() > until) {
      throw new Error(`${name} did not start:\n${readFileSync(log, 'utf8').slice(-3000)}`);
    }
    await new Promise((done) => { setTimeout(done, 100); });
  }
  return child;
}

/** Ends a program with whatever it started. */
export async function stop(child) {
  const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
  kill(child, 'SIGKILL');
  await ended;
  running.delete(child);
}

/** Ends all of them, the last one first, and removes their data: nothing is worth a delay. */
export async function stopAll() {
  for (const child of [...running].reverse()) await stop(child);
  removeData();
}

/** `KEEP=1` in the environment leaves the data for a look. */
function removeData() {
  if (!process.env.KEEP) execFileSync('rm', ['-rf', place]);
}

process.on('exit', () => {
  for (const child of running) kill(child, 'SIGKILL');
  removeData();
});
