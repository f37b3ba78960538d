import { compareAll, fixture, script } from './compare.js';

compareAll([
  {
    name: 'python3 with its own small-object allocator',
    needs: ['python3'],
    command: ['python3', fixture('modules.py')],
    status: 3,
  },
  {
    name: 'python3 with malloc alone',
    needs: ['python3'],
    command: ['python3', fixture('modules.py')],
    env: { PYTHONMALLOC: 'malloc' },
    status: 3,
    hardened: true,
  },
  { name: 'perl', needs: ['perl'], command: ['perl', fixture('perl.pl')], env: { PERL_HASH_SEED: '0' }, status: 5 },
  { name: "perl's threads", needs: ['perl'], command: ['perl', fixture('threads.pl')], hardened: true },
  { name: 'lua', needs: ['lua'], command: ['lua', fixture('lua.lua')], status: 7 },
  { name: 'ruby', needs: ['ruby'], command: ['ruby', fixture('ruby.rb')], status: 4 },
  { name: 'tcl', needs: ['tclsh'], command: ['tclsh', fixture('tcl.tcl')], status: 6 },
  { name: 'a bash script', needs: ['bash'], command: script('bash.sh'), status: 9 },
]);
