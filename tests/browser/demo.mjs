// `anteport demo` as a process of ours: started, waited for, stopped.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { freePorts } from './ports.mjs';

export const BINARY = fileURLToPath(new URL('../../target/release/anteport', import.meta.url));

/** The demo on four free ports. `before` is put before the command, as in `['taskset', '-c', '1']`. */
export async function startDemo({ more = [], before = [], binary = BINARY } = {}) {
  const port = await freePorts(4);
  const [command, ...rest] = [...before, binary, 'demo', '--port', String(port), ...more];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  // A test that dies takes its demo along.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let output = '';
  const ready = new Promise((resolve, reject) => {
    const note = (chunk) => {
      output += chunk;
      if (/^Anteport demo is ready/m.test(output)) resolve();
    };
    child.stdout.on('data', note);
    child.stderr.on('data', note);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${output}`)));
    setTimeout(() => reject(new Error(`the demo is not ready after 30 s:\n${output}`)), 30_000).unref();
  });
  try {
    await ready;
  } catch (error) {
    kill();
    throw error;
  }
  return {
    pid: child.pid,
    proxy: `http://127.0.0.1:${port}`,
    microsoft: `http://127.0.0.1:${port + 1}`,
    portal: `http://127.0.0.1:${port + 2}`,
    admin: `http://127.0.0.1:${port + 3}`,
    output: () => output,
    async stop() {
      process.off('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill('SIGTERM');
      const late = setTimeout(kill, 15_000);
      const [code] = await once(child, 'exit');
      clearTimeout(late);
      return code;
    },
  };
}
