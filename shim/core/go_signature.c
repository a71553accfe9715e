/* go_signature.c: see go_signature.h. */
#include "core/go_signature.h"

#if defined(__x86_64__)
#include "core/go_signature_x86_64.h"
#elif defined(__aarch64__)
#include "core/go_signature_aarch64.h"
#else
#error "no go_signature_*.h for this architecture yet"
#endif

static bool is_body(const uint8_t *at, size_t left)
{
    for (unsigned i = 0; i < COUNT(bodies); i++)
        if (left >= bodies[i].size && memcmp(at, bodies[i].byte, bodies[i].size) == 0)
            return true;
    return false;
}

void go_signature_find(const uint8_t *text, size_t n, uint64_t address, struct go_signature *found)
{
    uint64_t first, word;
    __builtin_memcpy(&first, bodies[0].byte,
                     sizeof first); /* a load, not a call: there are a million places to look at */
    for (size_t at = (size_t)(-address % ALIGNMENT); at + sizeof word <= n; at += ALIGNMENT) {
        __builtin_memcpy(&word, text + at, sizeof word);
        if (UNLIKELY(word == first) && is_body(text + at, n - at)) {
            found->hits++;
            found->at = at;
        }
    }
}

bool go_signature_is_note(const uint8_t *note, size_t n)
{
    enum { HEADER = 12, GO_BUILD_ID = 4 };
    static const uint8_t name[4] = {'G', 'o', 0, 0};
    while (n >= HEADER + sizeof name) {
        uint32_t name_size, size, type;
        memcpy(&name_size, note, 4);
        memcpy(&size, note + 4, 4);
        memcpy(&type, note + 8, 4);
        if (name_size == sizeof name && type == GO_BUILD_ID && memcmp(note + HEADER, name, sizeof name) == 0)
            return true;
        uint64_t whole = HEADER + (((uint64_t)name_size + 3) & ~(uint64_t)3) + (((uint64_t)size + 3) & ~(uint64_t)3);
        if (whole > n)
            return false;
        note += whole;
        n -= (size_t)whole;
    }
    return false;
}

bool go_signature_has_buildinfo(const uint8_t *data, size_t n)
{
    static const uint8_t magic[14] = {0xff, ' ', 'G', 'o', ' ', 'b', 'u', 'i', 'l', 'd', 'i', 'n', 'f', ':'};
    for (size_t at = 0; at + sizeof magic <= n; at += 16)
        if (data[at] == magic[0] && memcmp(data + at, magic, sizeof magic) == 0)
            return true;
    return false;
}
