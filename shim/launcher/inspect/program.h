/* program.h: the facts about a program that its files hold; verdict.h judges them. libelf reads the files; no file
 * is run, and every number in a file is checked before use. */
#ifndef LASTCALL_LAUNCHER_INSPECT_PROGRAM_H
#define LASTCALL_LAUNCHER_INSPECT_PROGRAM_H

#include "launcher/inspect/hook_names.h"

#include <limits.h>

enum { ELF_LIBRARIES_MAX = 192, ELF_NAME_MAX = 96, ELF_VERSION_MAX = 48, ELF_PROBLEM_MAX = 640 };

/* Which file imports a name: 0 = none; 1 = the program; n + 2 = library n, and not the program. */
typedef uint8_t elf_importer;

/* Functions of libc that act on a connection or a signal without a call that is interposed. */
enum { PROGRAM_BYPASSES = 20 };
extern const char *const elf_needs_bypass_names[PROGRAM_BYPASSES];

/* Of the file that the kernel would run at last. */
enum program_kind {
    ELF_UNKNOWN, /* the file could not be read, or is no ELF file: `problem` says why */
    ELF_PROGRAM,
    ELF_LIBRARY, /* a shared object that cannot be started */
    ELF_OTHER,   /* an object file, a core file */
};
enum elf_link { ELF_STATIC, ELF_STATIC_PIE, ELF_DYNAMIC };
enum elf_libc { ELF_LIBC_NONE, ELF_LIBC_GLIBC, ELF_LIBC_MUSL, ELF_LIBC_OTHER };

struct elf_library {         /* a library that the dynamic linker would load with the program */
    char name[ELF_NAME_MAX]; /* as DT_NEEDED has it */
    char path[256];          /* where it was found; "" = nowhere */
    bool direct;             /* the program itself names the library (DT_NEEDED) */
};

struct program_go {
    bool built;                    /* by Go */
    char version[ELF_VERSION_MAX]; /* "go1.19.8"; "" = not known */
    bool cgo;                      /* its build says CGO_ENABLED=1 */
    bool marked;                   /* liblastcall.so also recognises the program as Go, when loaded */
    unsigned entries;              /* routines that make system calls, recognised by their bytes (go_signature.h) */
};

struct program_calls { /* which file imports what: the program itself, or one of its libraries */
    elf_importer imports[HOOKS], bypasses[PROGRAM_BYPASSES];
    elf_importer dlopen;   /* dlopen: the program may load libraries that are not examined here */
    elf_importer ssl;      /* SSL_read and the like of a shared libssl */
    elf_importer io_uring; /* liburing */
};

struct program_facts {
    char asked[PATH_MAX];          /* the command, as given */
    char path[PATH_MAX];           /* the program at the end of scripts, env and symbolic links */
    char script[PATH_MAX];         /* the first script on the way; "" = none */
    char problem[ELF_PROBLEM_MAX]; /* why the program cannot be started or examined, one sentence; "" = nothing */
    unsigned scripts;              /* how many #! lines lay on the way */
    bool by_env;                   /* an env on the way executes it, not the caller */
    bool unexamined;               /* the program may be started, but not examined: the file, or the words of env -S */
    bool env_clears;               /* an env on the way takes LD_PRELOAD out of the environment again */

    enum program_kind kind;
    enum elf_link link;
    unsigned bits; /* 32, 64 */
    bool big_endian, pie;
    unsigned machine;           /* EM_X86_64 ... */
    char machine_name[24];      /* "x86_64", "aarch64" ... or "machine N" */
    bool other_machine;         /* built for another machine than this launcher and its library */
    char interpreter[PATH_MAX]; /* the dynamic linker; "" = none */
    bool interpreter_missing;

    enum elf_libc libc;
    bool unconstructed; /* musl runs no constructor in the program: the program does not call __libc_start_main */
    char libc_needed[ELF_VERSION_MAX]; /* the newest glibc version that a symbol asks for; "" = not known */
    char libc_found[ELF_VERSION_MAX];  /* of the libc that the interpreter would load; "" = not known */

    struct program_go go;

    bool setuid, setgid, capabilities; /* of the file */
    bool secure;                       /* the kernel would set AT_SECURE for the caller: LD_PRELOAD is ignored */
    bool executable;                   /* for the caller */

    unsigned library_count; /* libraries that the dynamic linker loads for the program, recursively */
    struct elf_library libraries[ELF_LIBRARIES_MAX];
    struct program_calls calls;
    bool ssl_inside; /* the program defines an SSL_read itself */
};

/* The program that `command` would run: looked up in PATH if there is no slash, then through #! lines and env. Fills
 * all of *facts. 0, or the error of exec: -ENOENT, -EACCES, -ENOEXEC, -ELOOP ...; -EPERM: the program may be
 * started, but not examined. verdict_of() puts the problem into a sentence. */
int program_find(const char *command, struct program_facts *facts);

/* The same for a whole command line, since `env A=b server` runs the server. argv ends in NULL, argv[0] exists. */
int program_command(char *const *argv, struct program_facts *facts);

/* The facts of one open ELF file: everything but the lookup and the permissions, with facts->path for $ORIGIN and
 * for sentences. 0 or -ENOEXEC. */
int program_file(int fd, struct program_facts *facts);

/* Of versions such as "2.9" and "2.36": below 0, 0, above 0; "" comes before all. */
int elf_needs_compare_versions(const char *a, const char *b);

#endif
