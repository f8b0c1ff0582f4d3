/* Which name in which folder means what: the folders of the recorder, and those of an image. */
#ifndef TOOTFS_CRASH_ENTRIES_H
#define TOOTFS_CRASH_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENTRY_NAME_BYTES = 40, NODE_ROOT = 0 };

struct entry {
	uint32_t dir, node;
	bool is_dir;
	char name[ENTRY_NAME_BYTES];
};

struct entries {
	struct entry *items;
	size_t count, space;
};

struct entry *entries_find(const struct entries *e, uint32_t dir, const char *name);
/* Also where the name is there already. */
void entries_set(struct entries *e, uint32_t dir, const char *name, uint32_t node, bool is_dir);
void entries_remove(struct entries *e, uint32_t dir, const char *name);
void entries_copy(struct entries *to, const struct entries *from);
void entries_destroy(struct entries *e);

#endif
