/* A new index, though the old one can be read: it is marked as damaged, which makes the next start rescue what was not uploaded
 * (rescue.c) and begin anew. Then the survey lists the bucket, and the rescued files come back into the tree.
 *
 * A file of lost+found/files goes back only to a path at which the tree has nothing: an object there may be newer, and nothing
 * says which one was meant. It is copied through the ordinary calls, so it is dirty and noted before it leaves lost+found. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/log.h"
#include "check_internal.h"
#include "file.h"
#include "survey.h"
#include "tree.h"

enum { PIECE = 128 * 1024 };

int check_condemn_index(const struct cache_config *config, struct buf *why)
{
	AUTO_CLOSE int folder = open(config->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int lock = folder < 0 ? -1 : openat(folder, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (lock < 0) {
		buf_printf(why, "there is no cache in %s", config->cache);
		return -ENOENT;
	}
	if (flock(lock, LOCK_EX | LOCK_NB)) {
		buf_printf(why, "the cache folder %s is in use; unmount it first", config->cache);
		return -EBUSY;
	}
	if (faccessat(folder, "index.mdb", F_OK, AT_SYMLINK_NOFOLLOW) && faccessat(folder, "steady", F_OK, 0))
		return 0; /* there is none to put aside */
	int r = index_condemn(config->cache);
	if (r)
		buf_printf(why, "cannot write to the cache folder %s: %s", config->cache, strerror(-r));
	return r;
}

/* -- one file -- */

static int copy(void *arg, int fd, uint64_t offset, uint64_t length)
{
	char bytes[PIECE];
	int from = *(int *)arg;

	for (uint64_t at = 0; at < length;) {
		size_t piece = length - at < PIECE ? (size_t)(length - at) : PIECE;
		int r = blob_read(from, offset + at, bytes, piece);
		if (!r)
			r = blob_write(fd, offset + at, bytes, piece);
		if (r)
			return r;
		at += piece;
	}
	return 0;
}

static int fill(struct cache *cache, struct file *file, int from, const struct stat *st)
{
	const struct write_source source = { copy, &from };
	struct stat done;
	int r = 0;

	for (uint64_t at = 0; !r && at < (uint64_t)st->st_size; at += PIECE) {
		uint64_t left = (uint64_t)st->st_size - at;
		r = file_write(file, at, left < PIECE ? left : PIECE, &source);
	}
	if (!r)
		r = file_flush(file);
	const struct attr_change times = { .fields = ATTR_MTIME,
					   .mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec };
	return r ? r : tree_setattr(cache, file_ino(file), &times, &done);
}

/* The folder of a path, made where it is not there; *name: the last part. */
static int walk_to(struct cache *cache, char *path, uint64_t *parent, char **name)
{
	const struct caller caller = { cache->config->uid, cache->config->gid };
	struct stat st;
	int r = 0;

	*parent = INO_ROOT;
	for (char *slash; !r && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		*slash = '\0';
		r = tree_lookup(cache, *parent, path, &st);
		if (r == -ENOENT)
			r = tree_mkdir(cache, *parent, path, cache->config->dir_mode, &caller, &st);
		if (!r && !S_ISDIR(st.st_mode))
			r = -EEXIST;
		*parent = st.st_ino;
	}
	*name = path;
	return r;
}

static int bring_back(struct cache *cache, const char *from, const char *path, const struct stat *st)
{
	AUTO_FREE char *parts = strdup(path);
	AUTO_CLOSE int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct create create = { .mode = S_IFREG | cache->config->file_mode,
				 .flags = O_RDWR | O_CREAT | O_EXCL,
				 .caller = { st->st_uid, st->st_gid } };
	struct file *file;
	struct stat made;
	char *name;

	if (!parts || fd < 0)
		return parts ? -errno : -ENOMEM;
	int r = walk_to(cache, parts, &create.parent, &name);
	create.name = name;
	if (!r)
		r = tree_create(cache, &create, &file, &made);
	if (r)
		return r;
	r = fill(cache, file, fd, st);
	file_close(&file);
	if (r && tree_unlink(cache, create.parent, name))
		log_error("check: a part of a rescued file stays in the mount path=%s", path);
	if (!r)
		r = cache_sync(cache);
	return r ? r : unlink(from) ? -errno : 0;
}

static int bring_all_back(struct cache *cache, const struct check_visitor *visitor, struct check_rebuilt *out)
{
	char top[4096];
	char *const tops[] = { top, NULL };
	FTSENT *entry;

	snprintf(top, sizeof(top), "%s/lost+found/files", cache->config->cache);
	size_t skip = strlen(top) + 1;
	FTS *fts = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		return -errno;
	while ((entry = fts_read(fts)) != NULL) {
		if (visitor->cancelled && visitor->cancelled(visitor->arg))
			break;
		if (entry->fts_info == FTS_DP)
			(void)rmdir(entry->fts_path); /* where nothing is left in it */
		if (entry->fts_info != FTS_F || strlen(entry->fts_path) <= skip)
			continue;
		int r = bring_back(cache, entry->fts_path, entry->fts_path + skip, entry->fts_statp);
		out->back += !r;
		out->left += r != 0;
		if (r)
			log_warn("check: a rescued file stays in lost+found path=%s error=%s", entry->fts_path + skip,
				 strerror(-r));
	}
	fts_close(fts);
	return 0;
}

int check_rebuild(struct cache *cache, const struct check_visitor *visitor, struct check_rebuilt *out)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	struct survey_stats stats;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0;; i++) {
		survey_stats_read(cache->survey, &stats);
		out->keys = stats.keys;
		if (visitor->cancelled && visitor->cancelled(visitor->arg))
			return -ECANCELED;
		const struct check_progress p = { .keys = stats.keys, .what = "keys listed" };
		if (visitor->progress && i % 10 == 9)
			visitor->progress(visitor->arg, &p);
		if (stats.done || !stats.running)
			break;
		nanosleep(&pause, NULL);
	}
	if (!stats.done)
		return -EIO;
	int r = bring_all_back(cache, visitor, out);
	return r == -ENOENT ? 0 : r;
}
