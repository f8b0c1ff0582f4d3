/* What one actor has done: a tree in memory beside the real one, and a picture of it after each step.
 *
 * An actor works in a top folder of its own, so that its steps have one order. */
#ifndef TOOTFS_CRASH_MODEL_H
#define TOOTFS_CRASH_MODEL_H

#include "log.h"

enum { PATH_BYTES = 96, MODEL_NAMES_MAX = 96, ACTORS = 2 };

/* Content, shared by hard links. */
struct model_file {
	unsigned names;
	uint32_t mode; /* with type bits */
	size_t length;
	uint64_t hash;
	char *bytes;
};

struct model_name {
	char path[PATH_BYTES]; /* from the root of the cache */
	bool is_dir;
	uint32_t mode; /* of a folder */
	struct model_file *file;
};

struct model {
	struct model_name names[MODEL_NAMES_MAX];
	size_t count;
};

struct model_name *model_find(struct model *m, const char *path);
/* NULL: there is no place for more. */
struct model_name *model_add_file(struct model *m, const char *path, uint32_t mode);
struct model_name *model_add_dir(struct model *m, const char *path, uint32_t mode);
struct model_name *model_link(struct model *m, struct model_file *file, const char *path);
void model_set_bytes(struct model_file *file, const void *bytes, size_t length);
void model_remove(struct model *m, const char *path);
/* Also of what is below it, where it is a folder; `to` does not exist. */
void model_move(struct model *m, const char *from, const char *to);
/* Would every path still be short enough? */
bool model_may_move(const struct model *m, const char *from, const char *to);
bool model_is_empty(const struct model *m, const char *dir);
void model_destroy(struct model *m);

/* -- pictures -- */

struct seen {
	char path[PATH_BYTES];
	uint32_t mode;
	uint32_t same_as; /* the first in the picture with the same file */
	uint64_t length, hash;
};

/* One step: the transactions first to last made it; in between, either picture may be seen. */
struct step {
	uint64_t first, last;
	uint64_t at; /* event: it was acknowledged before */
	uint32_t seen_at, seen_count; /* in story.seen, sorted by path */
	char what[24];
};

struct story {
	char top[8];
	struct step *steps;
	size_t count;
	struct seen *seen;
	size_t seen_count;
};

void story_add(struct story *story, const struct model *m, const struct step *step);
void seen_sort(struct seen *seen, size_t count);
void story_save(const struct story *story, int fd);
void story_load(struct story *story, int fd);
void story_destroy(struct story *story);

#endif
