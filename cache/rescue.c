/* The steps, of which each can be cut off at any instant and done again:
 *
 *     save     read what the old index says; link what must be kept into lost+found; write the list
 *              as rescued.part and what the new index must know as rescued.uploads.part
 *     commit   everything durable; rescued.uploads; then rescued: from here on the old index is not looked at again
 *     end      index, steady, journal → lost+found; blobs dropped; rescued → lost+found/README
 *     (index_open makes a new index: there is none, and there are no blobs)
 *     adopt    rescued.uploads → uploads of the new index, a checkpoint; then it is deleted
 *
 * Until the commit nothing is taken away, so a rescue that was cut off, or whose bucket does not answer, begins anew. The
 * bucket must answer before: without it the copies that are to be dropped are all there is. As long as `rescued` is there no
 * index is made, so that what the end moves away is never a new one. */
#include "rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/log.h"
#include "cache/index/record.h"
#include "rescue_internal.h"

/* -- save -- */

static int check_whose(const struct rescue *r, const struct cache *cache, struct buf *why)
{
	const char *identity = bucket_identity(cache->flow.bucket);
	buf_clear(why);
	if (r->facts.format > INDEX_FORMAT) {
		buf_text(why, "index.mdb: made by a newer version of tootfs; it was not touched");
		return -EPROTO;
	}
	if (r->facts.identity[0] && strcmp(r->facts.identity, identity) != 0) {
		buf_printf(why, "the cache was made for %s, not for %s; choose another cache folder",
			   r->facts.identity, identity);
		return -EMEDIUMTYPE;
	}
	return 0;
}

static int write_numbers(struct rescue *r)
{
	const uint64_t next = (r->number_max > r->facts.next_blob ? r->number_max : r->facts.next_blob) + 1;
	const uint64_t first = next < NUMBERS_MAX ? next : 1;
	if (fseek(r->uploads, 0, SEEK_SET) != 0 || fwrite(&first, sizeof(first), 1, r->uploads) != 1)
		return -EIO;
	return 0;
}

static int save(struct rescue *r, struct cache *cache, const char *damage)
{
	const char *folder = cache->config->cache;
	const uint64_t first = 0; /* the numbers are written last */
	int error = list_open(r, damage, cache->config);
	if (!error && fwrite(&first, sizeof(first), 1, r->uploads) != 1)
		error = -EIO;
	if (!error && r->facts.has_file)
		error = salvage_read(folder, keep_item, r, &r->sums);
	if (!error)
		error = keep_rest(r);
	if (!error)
		error = write_numbers(r);
	return error ? error : list_end(r);
}

static int save_anew(struct rescue *r, struct cache *cache, const char *damage, struct buf *why)
{
	const char *folder = cache->config->cache;
	int error = salvage_look(folder, NULL, &r->facts);
	if (!error)
		error = check_whose(r, cache, why);
	if (!error)
		error = salvage_mend(folder, NULL);
	if (!error)
		error = salvage_look(folder, NULL, &r->facts); /* it may say more now */
	if (!error)
		error = check_whose(r, cache, why);
	if (!error) {
		log_error("rescue: %s", damage);
		error = places_open(&r->places, folder);
	}
	return error ? error : save(r, cache, damage);
}

int rescue_save(struct cache *cache, const char *damage, struct buf *why)
{
	struct rescue r = {
	    .places = {.blobs = cache->flow.blobs, .folder = -1, .lost = -1, .files = -1, .nameless = -1,
		       .uid = cache->config->uid, .gid = cache->config->gid},
	};
	AUTO_FREE char *text = strdup(damage); /* it may stand in *why */
	if (text)
		text[strcspn(text, ";")] = '\0'; /* what follows is advice for who cannot be helped */
	int error = text ? save_anew(&r, cache, text, why) : -ENOMEM;
	if (!error)
		error = blobs_sync_all(cache->flow.blobs);
	if (!error)
		list_log(&r, cache->config->cache);
	else if (error != -EPROTO && error != -EMEDIUMTYPE)
		buf_printf(why, "; keeping what is not uploaded failed, nothing was dropped: %s",
			   strerror(-error));
	list_close(&r);
	places_close(&r.places);
	numbers_destroy(&r.kept);
	numbers_destroy(&r.copies);
	buf_destroy(&r.where);
	return error;
}

/* -- commit and end -- */

static int open_cache_folder(const struct cache *cache)
{
	int fd = open(cache->config->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int rescue_commit(struct cache *cache)
{
	AUTO_CLOSE int folder = open_cache_folder(cache);
	if (folder < 0)
		return folder;
	if (renameat(folder, RESCUED_UPLOADS ".part", folder, RESCUED_UPLOADS) != 0 || fsync(folder) != 0 ||
	    renameat(folder, RESCUED ".part", folder, RESCUED) != 0 || fsync(folder) != 0)
		return -errno;
	return 0;
}

/* Gone already is fine: an earlier end came so far. */
static int move_away(int folder, const char *from, int lost, const char *to)
{
	struct stat st;
	if (fstatat(folder, from, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	/* rename(2) does nothing where both are names of one file, which is what a power cut may have left */
	if (renameat(folder, from, lost, to) != 0 || (unlinkat(folder, from, 0) != 0 && errno != ENOENT))
		return -errno;
	log_error("rescue: the damaged file is kept, it does not count for cache_size file=lost+found/%s bytes=%lld",
		  to, (long long)st.st_size);
	return 0;
}

static int move_index(int folder, int lost)
{
	static const char *const rest[] = {"steady.old", "index.mdb-lock", "index.new", "index.damaged"};
	int error = move_away(folder, "index.mdb", lost, "index.mdb.damaged");
	if (!error)
		error = move_away(folder, "steady", lost, "steady.damaged");
	if (!error)
		error = move_away(folder, "journal", lost, "journal.damaged");
	for (size_t i = 0; !error && i < sizeof(rest) / sizeof(rest[0]); i++)
		if (unlinkat(folder, rest[i], 0) != 0 && errno != ENOENT)
			error = -errno;
	return error;
}

static int drop_blob(void *arg, uint64_t blob, uint64_t bytes)
{
	(void)bytes;
	return blob_drop(arg, blob);
}

/* The first free number. */
static int name_list(int folder, int lost)
{
	char name[32] = "README";
	for (unsigned i = 2; faccessat(lost, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; i++)
		snprintf(name, sizeof(name), "README-%u", i);
	if (renameat(folder, RESCUED, lost, name) != 0 || fsync(lost) != 0 || fsync(folder) != 0)
		return -errno;
	return 0;
}

int rescue_end(struct cache *cache)
{
	struct places places;
	AUTO_CLOSE int folder = open_cache_folder(cache);
	if (folder < 0)
		return folder;
	if (faccessat(folder, RESCUED, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	int error = places_open(&places, cache->config->cache);
	if (!error)
		error = move_index(places.folder, places.lost);
	if (!error && fsync(places.folder) != 0)
		error = -errno;
	if (!error)
		error = blobs_each(cache->flow.blobs, drop_blob, cache->flow.blobs);
	if (!error)
		error = blobs_sync_all(cache->flow.blobs);
	if (!error)
		error = name_list(places.folder, places.lost);
	places_close(&places);
	return error;
}

/* -- adopt -- */

/* -ENOENT: there is nothing to take over. */
static int open_uploads(const struct cache *cache, FILE **out)
{
	AUTO_CLOSE int folder = open_cache_folder(cache);
	if (folder < 0)
		return folder;
	int fd = openat(folder, RESCUED_UPLOADS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*out = fdopen(fd, "r");
	if (*out)
		return 0;
	close(fd);
	return -ENOMEM;
}

uint64_t rescue_first_blob(struct cache *cache)
{
	uint64_t first = 0;
	FILE *f = NULL;
	if (open_uploads(cache, &f) != 0)
		return 0;
	if (fread(&first, sizeof(first), 1, f) != 1 || first >= NUMBERS_MAX)
		first = 0;
	fclose(f);
	return first;
}

/* 1 = one more, 0 = the end. What is not whole is the end: its upload stays in the bucket, as the README says. */
static int next_upload(FILE *f, struct upload_record *out)
{
	uint8_t bytes[RECORD_UPLOAD_BYTES_MAX];
	uint64_t head[2];
	return fread(head, sizeof(head), 1, f) == 1 && head[1] <= sizeof(bytes) &&
	       fread(bytes, head[1], 1, f) == 1 &&
	       record_upload_decode(out, head[0], bytes, head[1]) == 0;
}

static int adopt(struct index *index, FILE *f)
{
	struct index_checkpoint *checkpoint;
	struct upload_record upload;
	struct txn *txn AUTO_ABORT = NULL;
	int error = txn_begin_write(index, &txn);
	if (!error && fseek(f, sizeof(uint64_t), SEEK_SET) != 0)
		error = -errno;
	while (!error && next_upload(f, &upload))
		error = uploads_put(txn, &upload);
	if (!error)
		error = txn_commit(&txn);
	if (!error)
		error = index_checkpoint_begin(index, &checkpoint);
	return error ? error : index_checkpoint_commit(&checkpoint);
}

int rescue_adopt(struct cache *cache)
{
	FILE *f = NULL;
	int error = open_uploads(cache, &f);
	if (error)
		return error == -ENOENT ? 0 : error;
	error = adopt(cache->flow.index, f);
	fclose(f);
	AUTO_CLOSE int folder = open_cache_folder(cache);
	if (!error && folder < 0)
		error = folder;
	if (!error && unlinkat(folder, RESCUED_UPLOADS, 0) != 0)
		error = -errno;
	return error;
}

/* -- the reminder -- */

void rescue_remind(const struct cache *cache)
{
	char path[4096 + 16];
	struct stat st;
	snprintf(path, sizeof(path), "%s/lost+found", cache->config->cache);
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return;
	log_warn("cache: files of an earlier rescue are still there, beside cache_size: see its README, copy back what is "
		 "wanted, then delete it folder=%s", path);
}
