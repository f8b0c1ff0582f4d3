/* A folder is listed again before the walk goes into it, so that it goes into what the bucket has now. */
#include "refresh.h"

#include <errno.h>
#include <string.h>
#include "cache/bucket/bucket.h"
#include "cache/index/index.h"
#include "internal.h"
#include "survey.h"
#include "tree.h"
#include "walk.h"

enum { TRIES = 3, GIVE_UP = 16 };

struct refreshing {
	struct cache *cache;
	const struct refresh_visitor *visitor;
	struct refresh_sums *sums;
	unsigned failures; /* in a row */
};

static int failed(struct refreshing *f, const char *key, int error)
{
	const char *why = error == -EFBIG    ? "it has too many names"
			  : error == -EAGAIN ? "it is being changed here"
			  : error == -ENOSPC || error == -EUCLEAN || error == -ENOMEM
			      ? strerror(-error)
			      : bucket_why();

	f->sums->failed++;
	f->visitor->failed(f->visitor->arg, key, why);
	return ++f->failures >= GIVE_UP ? -EIO : 0;
}

/* 0 also where it could not be done, which was told. */
static int relist(struct refreshing *f, uint64_t ino, const char *key)
{
	struct survey_changes changes = {0};
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = survey_relist(f->cache->survey, ino, &changes);
	f->sums->added += changes.added;
	f->sums->removed += changes.removed;
	f->sums->replaced += changes.replaced;
	if (r == -ECANCELED || r == -ENOENT)
		return r == -ENOENT ? 0 : r;
	if (r)
		return failed(f, key, r);
	f->failures = 0;
	f->sums->folders++;
	return f->visitor->progress(f->visitor->arg, f->sums) ? 0 : -ECANCELED;
}

static int visit(void *arg, const struct walk_entry *entry)
{
	return entry->folder ? relist(arg, entry->ino, entry->key) : WALK_ON;
}

/* The folder of a key that is a file, or is not known here: listed again. -ENOENT: there is not even that folder. */
static int relist_folder_of(struct refreshing *f, const char *key)
{
	char folder[KEY_BYTES_MAX + 1];
	uint64_t ino;

	strcpy(folder, key);
	char *slash = strrchr(folder, '/');
	folder[slash ? slash - folder : 0] = '\0';
	int r = walk_find(f->cache, folder, &ino);
	if (r == -ENOENT && folder[0]) {
		r = relist_folder_of(f, folder);
		if (!r)
			r = walk_find(f->cache, folder, &ino);
	}
	return r ? r : relist(f, ino, folder);
}

static int refresh_one(struct refreshing *f, const char *key)
{
	const struct walk walk = {.cache = f->cache, .visit = visit, .arg = f};
	struct stat st;
	uint64_t ino;
	int r = walk_find(f->cache, key, &ino);

	if (!r)
		r = tree_stat(f->cache, ino, &st);
	if (!r && S_ISDIR(st.st_mode))
		return walk_below(&walk, key);
	if (r && r != -ENOENT)
		return r;
	r = relist_folder_of(f, key);
	if (!r)
		r = walk_find(f->cache, key, &ino);
	if (!r)
		r = tree_stat(f->cache, ino, &st);
	return !r && S_ISDIR(st.st_mode) ? walk_below(&walk, key) : r;
}

int refresh_below(struct cache *cache, const char *const *keys, size_t count, const struct refresh_visitor *visitor,
		  struct refresh_sums *sums)
{
	struct refreshing f = {.cache = cache, .visitor = visitor, .sums = sums};
	int r = 0;

	*sums = (struct refresh_sums){0};
	for (size_t i = 0; i < count && !r; i++)
		r = refresh_one(&f, keys[i]);
	/* Whoever asked looks next: with what the kernel kept of before, he would see nothing new. */
	if (cache->watcher.settle)
		cache->watcher.settle(cache->watcher.arg);
	return r ? r : sums->failed ? -EIO : 0;
}
