/* libc.c: see libc.h. Everything here is a weak reference: the library loads without any libc. */
#include "sys/libc.h"

#include "sys/stacks.h"

#define WEAK __attribute__((weak, visibility("default")))

extern int *__errno_location(void) WEAK;
extern void *dlsym(void *handle, const char *name) WEAK;
extern char *dlerror(void) WEAK;
extern void *__libc_dlopen_mode(const char *name, int mode) WEAK;
extern void *__libc_dlsym(void *handle, const char *name) WEAK;
extern int __cxa_atexit(void (*f)(void *), void *arg, void *dso) WEAK;

#define RTLD_NEXT_   ((void *)-1L)
#define RTLD_NOW_    2
#define RTLD_DLOPEN_ ((int)0x80000000) /* glibc's __RTLD_DLOPEN */

void *libc_next(const char *name)
{
    if (dlsym)
        return dlsym(RTLD_NEXT_, name);
    /* glibc before 2.34 keeps dlsym in libdl, which not every program loads. */
    if (__libc_dlopen_mode && __libc_dlsym) {
        static void *libc;
        if (!libc)
            libc = __libc_dlopen_mode("libc.so.6", RTLD_NOW_ | RTLD_DLOPEN_);
        return libc ? __libc_dlsym(libc, name) : NULL;
    }
    return NULL;
}

void libc_clear_error(void)
{
    if (dlsym && dlerror)
        dlerror();
}

int *libc_errno(void)
{
    static int nobodys;
    if (LIKELY(__errno_location))
        return __errno_location();
    int *of_stack = stacks_errno();
    return of_stack ? of_stack : &nobodys;
}

static bool gnu;

void libc_bind_facts(void)
{
    gnu = libc_next("gnu_get_libc_version") != NULL;
    if (!gnu)
        libc_clear_error();
}

bool libc_is_gnu(void)
{
    return gnu;
}

bool libc_is_privileged(void)
{
    enum { AT_SECURE_ = 23 };
    unsigned long (*value)(unsigned long) = (unsigned long (*)(unsigned long))libc_next("getauxval");
    if (!value)
        libc_clear_error();
    return value && value(AT_SECURE_) != 0;
}

bool libc_at_exit(void (*f)(void *))
{
    return __cxa_atexit && __cxa_atexit(f, NULL, NULL) == 0;
}
