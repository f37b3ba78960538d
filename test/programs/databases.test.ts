import { compareAll, fixture, script } from './compare.js';

const read = `.read ${fixture('sqlite.sql')}`;

compareAll([
  { name: 'sqlite3 in memory', needs: ['sqlite3'], command: ['sqlite3', ':memory:', read], status: 1 },
  { name: 'sqlite3 on disk', needs: ['sqlite3'], command: ['sqlite3', 'base.db', read], status: 1, hardened: true },
  {
    name: 'redis-server under redis-benchmark',
    needs: ['redis-server', 'redis-benchmark', 'redis-cli', 'bash'],
    command: script('redis.sh'),
  },
]);
