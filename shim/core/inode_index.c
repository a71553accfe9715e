/* inode_index.c: see inode_index.h. Linear probing. */
#include "core/inode_index.h"

static uint32_t places_for(uint32_t count)
{
    uint32_t places = 16;
    while (places / 2 < count)
        places *= 2;
    return places;
}

size_t inode_index_size(uint32_t count)
{
    return places_for(count) * sizeof(struct inode_entry);
}

void inode_index_init(struct inode_index *x, void *memory, uint32_t count)
{
    x->entry = memory;
    x->mask = places_for(count) - 1;
    x->room = count;
    for (x->shift = 64; x->mask >> (64 - x->shift) != 0;)
        x->shift--;
}

/* Inodes of sockets are numbered one after the other, with strides: two multiplications spread them, best in the
 * highest bits (Knuth, 6.4; the constants are splitmix64's). */
static uint32_t place_of(const struct inode_index *x, uint64_t inode)
{
    uint64_t spread = inode * 0x9e3779b97f4a7c15u;
    return (uint32_t)((spread ^ spread >> 30) * 0xbf58476d1ce4e5b9u >> x->shift);
}

bool inode_index_add(struct inode_index *x, uint64_t inode, uint32_t value)
{
    uint32_t at = place_of(x, inode);
    if (x->room == 0)
        return false;
    x->room--;
    while (x->entry[at].inode != 0)
        at = (at + 1) & x->mask;
    x->entry[at] = (struct inode_entry){inode, value};
    return true;
}

uint32_t inode_index_next(const struct inode_index *x, uint64_t inode, uint32_t *at)
{
    uint32_t place = *at == INODE_INDEX_NONE ? place_of(x, inode) : (*at + 1) & x->mask;
    while (x->entry[place].inode != 0 && x->entry[place].inode != inode)
        place = (place + 1) & x->mask;
    *at = place;
    return x->entry[place].inode == inode ? x->entry[place].value : INODE_INDEX_NONE;
}
