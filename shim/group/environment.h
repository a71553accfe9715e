/* environment.h: how a program that is started finds the group: a variable in its environment names the descriptor of
 * the group's memory, its cookie, and a process that has the descriptor. The variable is put into the new program's
 * environment alone: the environment of this process belongs to the program, which may free all of it (perl, php-fpm).
 * Any thread, any signal handler, a vfork child: nothing is written but the caller's memory. */
#ifndef LASTCALL_GROUP_ENVIRONMENT_H
#define LASTCALL_GROUP_ENVIRONMENT_H

#include "core/group_table.h"

/* What the environment of this process has named at its start. */
struct environment_name {
    const char *text; /* the whole variable; NULL: there was none */
    bool valid;
    bool off; /* the program that has started this one was in a sandbox in which lastcall cannot be */
    int fd;
    int signal; /* a drain signal that is pending, blocked for the time of the exec; 0: none */
    int holder; /* the pid of a process that has the descriptor; 0: none is named, the descriptor is inherited */
    uint64_t cookie;
};
extern HIDDEN struct environment_name environment_name;

/* The constructor: note what the environment names. */
void environment_read(const char *const *env);

/* Has this process served already, as the program that has become this one by exec? */
bool environment_is_of_this_process(void);

/* The programs that this process starts are in its sandbox, too: they shall stay off. */
void environment_switch_off(void);

/* A process that starts a program. */
struct environment_start {
    char entry[GROUP_TABLE_NAME_MAX];
    bool inherited; /* the descriptor stays open over the exec */
};

/* How many entries has the environment that the new program gets instead of env, with the NULL at its end? 0: it gets
 * env as it is, since it will not load the library, or there is no group, or env is very long. */
size_t environment_room(char *const *env);

/* Fill `list`, of that size, for a program that this process starts as a process of its own. */
void environment_spawn(struct environment_start *start, char **list, char *const *env);
/* The same for a program that the calling process is about to become; own_process: it is not a vfork child. Where the
 * new program could not open the descriptor at its holder (another user, no /proc), it is inherited: inherited. signal:
 * see struct environment_name. */
void environment_exec(struct environment_start *start, char **list, char *const *env, bool own_process, int signal);
/* The exec has failed. */
void environment_exec_failed(const struct environment_start *start);

#endif
