/* clang-format off */
/* What becomes of each blob, by what a readable record says of it:
 *
 *     DIRTY                                          files/PATH; blobs/NUMBER where the path cannot be had
 *     CLEAN, wished at its own key, no other home    the same: the bucket may not have it
 *     DIRTY without a name (deleted while open)      dropped if the index is the newest, else blobs/NUMBER
 *     CLEAN, REMOTE                                  dropped; a file longer than its record, where the index may be an
 *                                                    older one, is blobs/NUMBER: it may have been appended to
 *     nothing                                        blobs/NUMBER, but for empty ones
 *
 * A file is what was published: the first `size` bytes. What is behind them in the blob was never closed, and is cut off
 * where the index is the newest; else it stays, and the list says so. */
/* clang-format on */
#include "rescue_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/index/record.h"

enum { KNOWN_BYTES = 160, TARGET_BYTES = 4096 };

/* The blob's file; -ENOENT. */
static int look_at(const struct rescue *r, uint64_t blob, int *fd, uint64_t *bytes)
{
	struct stat st;
	int error = blob_open(r->places.blobs, blob, fd);
	if (error)
		return error;
	if (fstat(*fd, &st) != 0) {
		error = -errno;
		close(*fd);
		return error;
	}
	*bytes = (uint64_t)st.st_size;
	return 0;
}

/* What is known of the first size bytes; true: all of them are here for certain. */
static bool judge(const struct rescue *r, const struct node_record *node, int fd, uint64_t bytes,
		  char out[KNOWN_BYTES])
{
	off_t hole = bytes && !(node->flags & NODE_SPARSE) ? lseek(fd, 0, SEEK_HOLE) : -1;
	if (bytes < node->size) {
		snprintf(out, KNOWN_BYTES, "%" PRIu64 " of %" PRIu64 " bytes, the end is missing", bytes,
			 node->size);
		return false;
	}
	if (hole >= 0 && (uint64_t)hole < node->size && !r->facts.newest) {
		snprintf(out, KNOWN_BYTES, "%" PRIu64 " bytes, but a gap at %lld", bytes, (long long)hole);
		return false;
	}
	if (bytes > node->size && !r->facts.newest) {
		snprintf(out, KNOWN_BYTES, "%" PRIu64 " bytes; the old index knows the first %" PRIu64,
			 bytes, node->size);
		return false;
	}
	snprintf(out, KNOWN_BYTES, "%" PRIu64 " bytes, %s", node->size,
		 r->facts.newest ? "whole" : "complete as far as the old index knows");
	return r->facts.newest;
}

static bool read_target(int fd, uint64_t size, char out[TARGET_BYTES])
{
	if (size == 0 || size >= TARGET_BYTES || blob_read(fd, 0, out, size) != 0)
		return false;
	out[size] = '\0';
	return strlen(out) == size;
}

static int keep_nameless(struct rescue *r, uint64_t blob, uint64_t bytes, const char *path)
{
	char known[KNOWN_BYTES + 64];
	int error = place_nameless(&r->places, blob, &r->where);
	if (error)
		return error;
	r->nameless++;
	r->nameless_bytes += bytes;
	snprintf(known, sizeof(known), "%" PRIu64 " bytes, %s", bytes, buf_string(&r->where));
	list_line(r, "kept without its name", path ? path : "?", known);
	return numbers_add(&r->kept, blob) == -ENOMEM ? -ENOMEM : 0;
}

static void note_lost(struct rescue *r, const char *path, uint64_t size)
{
	char known[KNOWN_BYTES];
	r->lost++;
	snprintf(known, sizeof(known), "its %" PRIu64 " bytes are not in the cache", size);
	list_line(r, "LOST", path, known);
}

/* What no path can be made of goes where a number is enough. */
static bool has_no_place(int error)
{
	return error == -EEXIST || error == -ENOTDIR || error == -ENAMETOOLONG || error == -EINVAL ||
	       error == -EILSEQ || error == -EISDIR || error == -ELOOP || error == -EMLINK;
}

static int place(struct rescue *r, const char *path, const struct node_record *node, int fd,
		 uint64_t bytes)
{
	char known[KNOWN_BYTES] = "empty", target[TARGET_BYTES];
	bool whole = true, first = !node->blob || !numbers_has(&r->kept, node->blob);
	if (node->blob)
		whole = judge(r, node, fd, bytes, known);
	if (r->facts.newest && bytes > node->size && ftruncate(fd, (off_t)node->size) != 0)
		return -errno;
	bool link = S_ISLNK(node->mode) && node->blob && read_target(fd, node->size, target);
	int error = place_file(&r->places, path, node, link ? target : NULL, &r->where);
	if (has_no_place(error) && node->blob)
		return first ? keep_nameless(r, node->blob, bytes, path) : 0;
	if (error)
		return has_no_place(error) ? 0 : error;
	r->files++;
	r->incomplete += !whole;
	if (first)
		r->bytes += bytes < node->size || !r->facts.newest ? bytes : node->size;
	buf_printf(&r->where, ": %s", known);
	list_line(r, "kept", path, buf_string(&r->where));
	return node->blob && numbers_add(&r->kept, node->blob) == -ENOMEM ? -ENOMEM : 0;
}

static int keep_file(struct rescue *r, const char *path, const struct node_record *node)
{
	uint64_t bytes = 0;
	int fd = -1;
	int error = node->blob ? look_at(r, node->blob, &fd, &bytes) : 0;
	if (error == -ENOENT) {
		note_lost(r, path, node->size);
		return 0;
	}
	if (!error)
		error = place(r, path, node, fd, bytes);
	if (fd >= 0)
		close(fd);
	return error;
}

/* -- wishes -- */

static int keep_wish(struct rescue *r, const struct salvage_item *item)
{
	const struct pending_record *wish = &item->wish;
	const struct node_record *node = &item->node;
	if (wish->want == PENDING_ABSENT) {
		r->removals++;
		list_line(r, "removal not sent", wish->key, "it may be back");
		return 0;
	}
	if (!item->has_node) {
		r->moves++;
		list_line(r, "not sent", wish->key, "which cached file it is cannot be read: see blobs/");
		return 0;
	}
	if (node->content == CONTENT_DIRTY)
		return keep_file(r, wish->key, node);
	if (wish->attrs_only) {
		r->headers++;
		return 0;
	}
	if (node->content == CONTENT_CLEAN && !node->home[0])
		return keep_file(r, wish->key, node);
	r->moves++;
	list_line(r, "name not sent, the content is under another one", wish->key,
		  node->home[0] ? node->home : node->name);
	return 0;
}

/* -- nodes -- */

static int drop_copy(struct rescue *r, const struct node_record *node)
{
	uint64_t bytes = 0;
	int fd, error = look_at(r, node->blob, &fd, &bytes);
	if (error)
		return error == -ENOENT ? 0 : error;
	close(fd);
	if ((bytes > node->size && !r->facts.newest) || numbers_has(&r->copies, node->blob))
		return 0;
	r->dropped++;
	r->dropped_bytes += bytes;
	return numbers_add(&r->copies, node->blob) == -ENOMEM ? -ENOMEM : 0;
}

static int keep_node(struct rescue *r, const struct salvage_item *item)
{
	const struct node_record *node = &item->node;
	if (node->blob && numbers_has(&r->kept, node->blob))
		return 0;
	if (node->content != CONTENT_DIRTY)
		return drop_copy(r, node);
	if (node->flags & NODE_ORPHAN)
		return r->facts.newest && node->blob ? drop_copy(r, node) : 0;
	if (r->sums.wishes_whole && !node->blob)
		return 0; /* empty, and its wish was seen */
	return item->path[0] ? keep_file(r, item->path, node) : 0;
}

/* -- uploads -- */

static int keep_upload(struct rescue *r, const struct salvage_item *item)
{
	uint8_t bytes[RECORD_UPLOAD_BYTES_MAX];
	const uint64_t head[2] = {item->upload.blob, record_upload_encode(bytes, &item->upload)};
	r->uploads_count++;
	list_line(r, "unfinished upload, which is aborted", item->upload.key,
		  item->upload.id[0] ? item->upload.id : "its id is not known");
	if (fwrite(head, sizeof(head), 1, r->uploads) != 1 ||
	    fwrite(bytes, head[1], 1, r->uploads) != 1)
		return -EIO;
	return 0;
}

int keep_item(void *arg, const struct salvage_item *item)
{
	struct rescue *r = arg;
	switch (item->kind) {
	case SALVAGE_WISH:
		return keep_wish(r, item);
	case SALVAGE_NODE:
		return keep_node(r, item);
	case SALVAGE_UPLOAD:
		return keep_upload(r, item);
	}
	return 0;
}

/* -- the rest -- */

static int keep_blob(void *arg, uint64_t blob, uint64_t on_disk)
{
	struct rescue *r = arg;
	uint64_t bytes = on_disk;
	int fd;
	if (blob > r->number_max && blob < NUMBERS_MAX)
		r->number_max = blob;
	if (numbers_has(&r->kept, blob) || numbers_has(&r->copies, blob))
		return 0;
	if (look_at(r, blob, &fd, &bytes) == 0) {
		close(fd);
		if (bytes == 0)
			return 0;
	}
	return keep_nameless(r, blob, bytes, NULL);
}

int keep_rest(struct rescue *r)
{
	return blobs_each(r->places.blobs, keep_blob, r);
}
