#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "cache/blob/blob.h"
#include "cache/file.h"
#include "cache/index/index.h"
#include "cache/tree.h"

int files_walk(struct cache *cache, const char *path, uint64_t *parent, const char **name)
{
	const char *slash;
	*parent = INO_ROOT;
	for (; (slash = strchr(path, '/')); path = slash + 1) {
		char part[256];
		struct stat st;
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		int r = tree_lookup(cache, *parent, part, &st);
		if (r)
			return r;
		*parent = st.st_ino;
	}
	*name = path;
	return 0;
}

int files_look(struct cache *cache, const char *path, struct stat *out)
{
	uint64_t parent;
	const char *name;
	int r = files_walk(cache, path, &parent, &name);
	return r ? r : tree_lookup(cache, parent, name, out);
}

int files_open(struct cache *cache, const char *path, int flags, struct file **out)
{
	struct stat st;
	int r = files_look(cache, path, &st);
	return r ? r : file_open(cache, st.st_ino, flags, out);
}

static int copy_bytes(void *arg, int fd, uint64_t offset, uint64_t length)
{
	return blob_write(fd, offset, arg, (size_t)length);
}

int files_write(struct file *file, uint64_t offset, const void *bytes, size_t length)
{
	union {
		const void *in;
		void *out;
	} arg = {.in = bytes};
	const struct write_source source = {copy_bytes, arg.out};
	return file_write(file, offset, length, &source);
}

/* -- reading -- */

struct waiting {
	struct file_read read;
	struct lock lock;
	struct wakeup wake;
	bool done;
	int error;
};

static void read_done(struct file_read *read, int error)
{
	struct waiting *w = container_of(read, struct waiting, read);
	lock_take(&w->lock);
	w->done = true;
	w->error = error;
	wakeup_all(&w->wake);
	lock_drop(&w->lock);
}

static int take_span(struct span *span, struct buf *out)
{
	char *bytes AUTO_FREE = malloc(span->length + 1);
	int r = !bytes ? -ENOMEM : span->length ? blob_read(span->fd, span->offset, bytes, span->length) : 0;
	if (!r)
		buf_append(out, bytes, span->length);
	file_span_release(span);
	return r;
}

int files_read_piece(struct file *file, uint64_t offset, uint64_t length, struct buf *out)
{
	struct waiting w = {.read = {.offset = offset, .length = length, .done = read_done}};
	lock_init(&w.lock);
	wakeup_init(&w.wake);
	int r = file_read(file, &w.read);
	lock_take(&w.lock);
	while (r == -EINPROGRESS && !w.done)
		wakeup_wait(&w.wake, &w.lock);
	lock_drop(&w.lock);
	r = r == -EINPROGRESS ? w.error : r;
	if (!r)
		r = take_span(&w.read.span, out);
	wakeup_destroy(&w.wake);
	lock_destroy(&w.lock);
	return r;
}

int files_read(struct cache *cache, uint64_t ino, struct buf *out)
{
	struct file *file;
	size_t before;
	buf_clear(out);
	int r = file_open(cache, ino, O_RDONLY, &file);
	if (r)
		return r;
	do {
		before = out->length;
		r = files_read_piece(file, out->length, 1 << 20, out);
	} while (!r && out->length > before);
	file_close(&file);
	return r;
}
