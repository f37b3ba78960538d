import { compareAll, script } from './compare.js';

compareAll([
  {
    name: 'gcc and cc1 compiling C',
    needs: ['gcc', 'ar', 'bash'],
    parts: ['cc1', 'as'],
    command: script('gcc.sh'),
    hardened: true,
  },
  {
    name: 'g++ compiling C++ and reporting errors',
    needs: ['g++', 'bash'],
    parts: ['cc1plus'],
    command: script('g++.sh'),
    status: 1,
  },
  { name: 'clang', needs: ['clang', 'bash'], command: script('clang.sh'), status: 1 },
  {
    name: 'cmake and make building a project',
    needs: ['cmake', 'make', 'gcc', 'g++'],
    command: script('cmake.sh'),
    env: { CC: 'gcc', CXX: 'g++' },
  },
  {
    name: 'a C++ program with threads and exceptions',
    needs: ['g++'],
    parts: ['newdelete'],
    command: script('newdelete.sh'),
    hardened: true,
  },
  { name: 'gdb and the program in it', needs: ['gdb', 'gcc'], parts: ['program'], command: script('gdb.sh') },
]);
