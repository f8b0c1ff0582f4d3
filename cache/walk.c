/* One frame for each folder on the way; names are read from the index some at a time, and up to the first folder among them,
 * so that it is gone into before its place is left. */
#include "walk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/index/names.h"
#include "tree_internal.h"

enum { SLOTS = 64 };

struct frame {
	uint64_t ino;
	size_t key_bytes;
	struct names_position after;
	bool begun;
};

struct run {
	const struct walk *walk;
	struct frame *frames;
	size_t depth, space;
	struct name *slots;
	size_t count;
	struct walk_entry entry;
	char key[KEY_BYTES_MAX + 1];
};

bool walk_is_below(const char *key, const char *folder)
{
	size_t length = strlen(folder);

	return !length || (strncmp(key, folder, length) == 0 && (!key[length] || key[length] == '/'));
}

int walk_find(struct cache *cache, const char *key, uint64_t *ino)
{
	char part[NAME_BYTES_MAX + 1];
	struct stat st = {.st_ino = INO_ROOT};
	int r = 0;

	while (*key && !r) {
		size_t length = strcspn(key, "/");
		if (length > NAME_BYTES_MAX)
			return -ENOENT;
		memcpy(part, key, length);
		part[length] = '\0';
		key += length + (key[length] == '/');
		r = tree_lookup(cache, st.st_ino, part, &st);
	}
	*ino = st.st_ino;
	return r;
}

static int take(void *arg, const struct name *name)
{
	struct run *run = arg;

	run->slots[run->count++] = *name;
	return name->folder || run->count == SLOTS;
}

static int take_slots(struct run *run)
{
	struct frame *f = &run->frames[run->depth - 1];
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(run->walk->cache->flow.index, &txn);

	run->count = 0;
	if (!r)
		r = names_each(txn, f->ino, f->begun ? &f->after : NULL, take, run);
	return r < 0 ? r : 0;
}

static int load(struct run *run, uint64_t ino)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(run->walk->cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, ino, &run->entry.record);
	if (r)
		return r;
	run->entry.ino = ino;
	run->entry.key = run->key;
	run->entry.folder = S_ISDIR(run->entry.record.mode);
	return 0;
}

static int push(struct run *run, uint64_t ino)
{
	const struct walk *walk = run->walk;

	if (run->depth == run->space) {
		size_t space = run->space ? 2 * run->space : 8;
		struct frame *more = reallocarray(run->frames, space, sizeof(*more));
		if (!more)
			return -ENOMEM;
		run->frames = more;
		run->space = space;
	}
	int r = walk->know ? tree_know(walk->cache, ino) : 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0; /* it has just gone */
	if (r == -ECANCELED)
		return r;
	if (r && walk->unknown)
		walk->unknown(walk->arg, run->key, r);
	run->frames[run->depth++] = (struct frame){.ino = ino, .key_bytes = strlen(run->key)};
	return 0;
}

static int visit(struct run *run, uint64_t ino)
{
	int r = load(run, ino);

	if (r)
		return r == -ENOENT ? WALK_ON : r;
	r = run->walk->visit(run->walk->arg, &run->entry);
	return r == WALK_ON && run->entry.folder ? push(run, ino) : r == WALK_PAST ? WALK_ON : r;
}

static int visit_slot(struct run *run, size_t depth, const struct name *name)
{
	struct frame *f = &run->frames[depth];
	size_t length = f->key_bytes, more = strlen(name->text);

	strcpy(f->after.text, name->text);
	f->after.folder = name->folder;
	f->begun = true;
	if (length + 1 + more > KEY_BYTES_MAX)
		return WALK_ON;
	if (length)
		run->key[length++] = '/';
	memcpy(run->key + length, name->text, more + 1);
	return visit(run, name->ino);
}

static int step(struct run *run)
{
	size_t depth = run->depth - 1;
	int r = take_slots(run);

	if (!r && !run->count)
		run->depth--;
	for (size_t i = 0; r == WALK_ON && i < run->count; i++)
		r = visit_slot(run, depth, &run->slots[i]);
	return r;
}

int walk_below(const struct walk *walk, const char *key)
{
	struct run *run = calloc(1, sizeof(*run));
	uint64_t ino;

	if (!run)
		return -ENOMEM;
	run->walk = walk;
	run->slots = malloc(SLOTS * sizeof(*run->slots));
	int r = run->slots ? walk_find(walk->cache, key, &ino) : -ENOMEM;
	if (!r) {
		strcpy(run->key, key);
		r = visit(run, ino);
	}
	while (r == WALK_ON && run->depth)
		r = step(run);
	free(run->slots);
	free(run->frames);
	free(run);
	return r == WALK_STOP ? 0 : r;
}
