/* inode_index.h: from the inode of a socket to the connections that have it, for a walk through the sockets of other
 * processes.
 *
 * Pure: the memory is the caller's. A hash table that is filled once, never more than half. */
#ifndef LASTCALL_INODE_INDEX_H
#define LASTCALL_INODE_INDEX_H

#include "base.h"

#define INODE_INDEX_NONE UINT32_MAX

struct inode_entry {
    uint64_t inode; /* 0: free */
    uint32_t value;
};

struct inode_index {
    struct inode_entry *entry;
    uint32_t mask, room; /* room: so many more can be added */
    uint32_t shift;
};

/* The memory that is wanted for so many inodes. */
size_t inode_index_size(uint32_t count);

/* An empty index in zeroed memory of that size. */
void inode_index_init(struct inode_index *x, void *memory, uint32_t count);

/* False: there is no room left. inode is not 0. */
bool inode_index_add(struct inode_index *x, uint64_t inode, uint32_t value);

/* The values of an inode, one by one: *at is INODE_INDEX_NONE before the first; INODE_INDEX_NONE: no more of them. */
uint32_t inode_index_next(const struct inode_index *x, uint64_t inode, uint32_t *at);

#endif
