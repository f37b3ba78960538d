import { compareAll, fixture, script } from './compare.js';

compareAll([
  {
    name: 'git making, packing, cloning and checking a repository',
    needs: ['git', 'bash'],
    command: script('git.sh'),
    status: 128,
    hardened: true,
  },
  { name: 'ghostscript', needs: ['gs', 'bash'], command: script('gs.sh'), status: 1 },
  { name: 'z3', needs: ['z3'], command: ['z3', fixture('z3.smt2')], status: 1 },
  {
    name: 'awk, sort, xz, jq, tar and make',
    needs: ['gawk', 'sort', 'xz', 'jq', 'tar', 'make', 'bash'],
    command: script('tools.sh'),
  },
  { name: 'openssl', needs: ['openssl', 'bash'], command: script('openssl.sh'), status: 1 },
]);
