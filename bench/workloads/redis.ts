/** A redis server under the allocator, and a client that is not. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Command, Place } from '../model.ts';

/** Runs inside the server: values of 10 to 1000 bytes are set, half deleted, lists and hashes built. */
const WORK = `
local seed = 42
local function random(limit) seed = seed * 16807 % 2147483647 return seed % limit end
local body = string.rep('x', 1000)
local count = tonumber(ARGV[1])
for i = 1, count do
  redis.call('SET', 'key:' .. random(count), string.sub(body, 1, 10 + random(990)))
  if i % 2 == 0 then redis.call('DEL', 'key:' .. random(count)) end
  if i % 4 == 0 then redis.call('HSET', 'hash:' .. random(1000), 'field' .. random(50), i) end
  if i % 8 == 0 then redis.call('RPUSH', 'list:' .. random(1000), string.sub(body, 1, random(200))) end
end
return redis.call('DBSIZE')`;

const START_TRIES = 200;
const START_PAUSE_MS = 20;

async function client(socket: string, count: number): Promise<void> {
  const cli = (...args: string[]) => execa('redis-cli', ['-s', socket, ...args], { reject: false });
  for (let tries = 0; tries < START_TRIES; tries++) {
    if ((await cli('PING')).stdout === 'PONG') break;
    await sleep(START_PAUSE_MS);
  }
  await cli('EVAL', WORK, '0', String(count));
  await cli('SHUTDOWN', 'NOSAVE');
}

export function redisCommand(place: Place, count: number): Command {
  const socket = join(place.inputs, 'redis.sock');
  rmSync(socket, { force: true });
  return {
    program: 'redis-server',
    args: ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--loglevel', 'warning'],
    folder: place.inputs,
    client: () => client(socket, count),
  };
}
