/* Opening a cache to look at it, without changing a byte of it.
 *
 *     index closed in order     opened where it is, read-only
 *     by a killed process, or   index.mdb, steady and journal are copied to a temporary folder and recovered there, as the
 *     before a power cut        next start would do it in place
 *
 * The lock is the daemon's own, so neither comes while the other is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "check.h"
#include "internal.h"

enum { CHECK_MS = 60 * 1000, COPY_BYTES = 1 << 20 };
static const char *const files[] = { "index.mdb", "index.mdb-lock", "steady", "steady.old", "journal", "index.damaged" };
enum { FILES = sizeof(files) / sizeof(files[0]) };

static int fail(struct buf *why, int error, const char *what, const char *path)
{
	if (!why->length)
		buf_printf(why, "%s %s: %s", what, path, strerror(-error));
	return error;
}

static int lock_folder(struct cache *cache, struct buf *why)
{
	const char *folder = cache->config->cache;
	char path[4096];

	snprintf(path, sizeof(path), "%s/lock", folder);
	cache->lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (cache->lock_fd < 0 && errno == ENOENT) {
		buf_printf(why, "there is no cache in %s; name it with -o cache=FOLDER as the mount does", folder);
		return -ENOENT;
	}
	if (cache->lock_fd < 0)
		return fail(why, -errno, "cannot read the cache folder", folder);
	if (flock(cache->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	buf_printf(why, "the cache folder %s is in use", folder);
	return -EBUSY;
}

/* -- the copy -- */

static int copy_bytes(int from, int to)
{
	char *bytes = malloc(COPY_BYTES);
	ssize_t n = bytes ? 1 : -1;

	if (!bytes)
		return -ENOMEM;
	while (n > 0) {
		n = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0);
		if (n >= 0)
			continue;
		n = read(from, bytes, COPY_BYTES);
		if (n > 0 && write(to, bytes, (size_t)n) != n)
			n = -1;
	}
	int r = n < 0 ? -(errno ? errno : EIO) : 0;
	free(bytes);
	return r;
}

static int copy_file(int from_folder, int to_folder, const char *name)
{
	AUTO_CLOSE int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return errno == ENOENT ? 0 : -errno;
	AUTO_CLOSE int to = openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return to < 0 ? -errno : copy_bytes(from, to);
}

static int copy_index(const char *from_path, const char *to_path)
{
	AUTO_CLOSE int from = open(from_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int to = open(to_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = from < 0 || to < 0 ? -errno : 0;

	for (size_t i = 0; !r && i < FILES; i++)
		if (strcmp(files[i], "index.mdb-lock"))
			r = copy_file(from, to, files[i]);
	return r;
}

static void drop_copy(char **path)
{
	int folder = *path ? open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	for (size_t i = 0; folder >= 0 && i < FILES; i++)
		(void)unlinkat(folder, files[i], 0);
	if (folder >= 0)
		close(folder);
	if (*path)
		(void)rmdir(*path);
	free(*path);
	*path = NULL;
}

/* -- opening -- */

static int open_at(struct cache *cache, const char *folder, bool read_only, enum index_start *start, struct buf *why)
{
	const struct index_config config = { .folder = folder,
					     .identity = bucket_identity(cache->flow.bucket),
					     .read_only = read_only,
					     .expected = true,
					     .check_ms = CHECK_MS };

	return index_open(&config, &cache->flow.index, start, why);
}

static int open_index(struct cache *cache, struct buf *why)
{
	enum index_start start = INDEX_NEW;
	const char *tmp = getenv("TMPDIR");
	char path[4096];
	int r = open_at(cache, cache->config->cache, true, &start, why);

	cache->unswept = start != INDEX_CLEAN;
	if (r != -EROFS)
		return r;
	buf_clear(why);
	snprintf(path, sizeof(path), "%s/fsck.tootfs-XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	if (!mkdtemp(path))
		return fail(why, -errno, "cannot make a folder for a copy of the index,", path);
	cache->copy = strdup(path);
	if (!cache->copy) {
		(void)rmdir(path);
		return -ENOMEM;
	}
	cache->unswept = true;
	r = copy_index(cache->config->cache, path);
	return r ? fail(why, r, "cannot copy the index to", path) : open_at(cache, path, false, &start, why);
}

static int open_parts(struct cache *cache, struct buf *why)
{
	const struct cache_config *config = cache->config;
	int r = lock_folder(cache, why);

	if (!r) {
		r = bucket_open(&config->bucket, &cache->flow.bucket);
		if (r)
			buf_text(why, bucket_why());
	}
	if (!r)
		r = blobs_open(config->cache, &cache->flow.blobs);
	if (!r)
		r = open_index(cache, why);
	if (!r)
		r = bucket_start(cache->flow.bucket);
	cache->bucket_started = !r;
	return r;
}

int check_open(const struct cache_config *config, struct cache **out, struct buf *why)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->config = config;
	cache->lock_fd = -1;
	cache->flow.config.read_only = true;
	int r = open_parts(cache, why);
	if (r) {
		fail(why, r, "cannot open the cache in", config->cache);
		check_close(&cache);
		return r;
	}
	*out = cache;
	return 0;
}

void check_close(struct cache **cache)
{
	struct cache *c = *cache;
	char *copy;

	if (!c)
		return;
	copy = c->copy;
	if (c->flow.bucket)
		bucket_stop(c->flow.bucket);
	cache_close(cache);
	drop_copy(&copy);
}
