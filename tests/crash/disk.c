/* For each node: its bytes as of the last completed sync (base), and the numbers of the events since (pending). An image
 * takes the base and lets each pending event happen to a sector, or not:
 *
 *     OLD      none has happened
 *     NEW      all have
 *     CUT      those up to one of them, and of that one the first sectors
 *     SECTORS  each sector is as of an instant of its own; many of them old, half, or few
 *
 * The events of a folder are its changes of names; in an image all of them up to an instant have happened (a journal in
 * order), or each of them or not. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, REQUESTS_MAX = 256, LOOK_AHEAD = 20000 };

struct file {
	uint8_t *base; /* zero from size to space */
	size_t size, space;
	uint32_t *pending;
	size_t count, pending_space;
};

struct disk {
	const struct log *log;
	size_t at;
	struct file *files;
	size_t files_count;
	struct entries names; /* as of the folders' last syncs */
	struct objects objects;
	uint32_t open_requests[REQUESTS_MAX];
	size_t open_count;
	uint64_t promised;
};

struct disk *disk_new(const struct log *log, const struct objects *before)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	if (!disk)
		broken("no memory");
	disk->log = log;
	if (before)
		objects_copy(&disk->objects, before);
	return disk;
}

void disk_free(struct disk **disk)
{
	struct disk *d = *disk;
	*disk = NULL;
	for (size_t i = 0; i < d->files_count; i++) {
		free(d->files[i].base);
		free(d->files[i].pending);
	}
	free(d->files);
	entries_destroy(&d->names);
	objects_clear(&d->objects);
	free(d);
}

uint64_t disk_promised(const struct disk *disk)
{
	return disk->promised;
}

/* -- bytes -- */

static void reserve(struct file *f, size_t size)
{
	if (size <= f->space)
		return;
	size_t space = size + size / 2 + SECTOR;
	f->base = realloc(f->base, space);
	if (!f->base)
		broken("no memory");
	memset(f->base + f->space, 0, space - f->space);
	f->space = space;
}

static void resize(struct file *f, size_t size)
{
	reserve(f, size);
	if (size < f->size)
		memset(f->base + size, 0, f->size - size);
	f->size = size;
}

static void settle_bytes(const struct disk *d, struct file *f, const struct event *event)
{
	if (event->kind == EVENT_SIZE) {
		resize(f, event->length);
		return;
	}
	if (event->offset + event->length > f->size)
		resize(f, event->offset + event->length);
	memcpy(f->base + event->offset, log_at(d->log, event->data), event->length);
}

static void apply_name(const struct log *log, struct entries *names, const struct event *event)
{
	const char *text = log_at(log, event->text);
	if (event->kind == EVENT_MAKE) {
		entries_set(names, event->dir, text, event->node, event->flag);
	} else if (event->kind == EVENT_UNLINK) {
		entries_remove(names, event->dir, text);
	} else {
		entries_set(names, event->dir, log_at(log, event->text2), event->node, false);
		if (event->flag)
			entries_set(names, event->dir, text, event->node2, false);
		else
			entries_remove(names, event->dir, text);
	}
}

static bool is_name_event(const struct event *event)
{
	return event->kind == EVENT_MAKE || event->kind == EVENT_UNLINK || event->kind == EVENT_RENAME;
}

/* -- time goes by -- */

static void settle(struct disk *d, struct file *f, uint64_t begin)
{
	size_t i = 0;
	for (; i < f->count && f->pending[i] < begin; i++) {
		const struct event *event = &d->log->events[f->pending[i]];
		if (is_name_event(event))
			apply_name(d->log, &d->names, event);
		else
			settle_bytes(d, f, event);
	}
	if (i == 0)
		return;
	memmove(f->pending, f->pending + i, (f->count - i) * sizeof(*f->pending));
	f->count -= i;
}

static struct file *file_of(struct disk *d, uint32_t node)
{
	if (node >= d->files_count) {
		size_t count = (size_t)node * 2 + 64;
		d->files = reallocarray(d->files, count, sizeof(*d->files));
		if (!d->files)
			broken("no memory");
		memset(d->files + d->files_count, 0, (count - d->files_count) * sizeof(*d->files));
		d->files_count = count;
	}
	return &d->files[node];
}

static void await(struct disk *d, uint32_t node, size_t number)
{
	struct file *f = file_of(d, node);
	if (f->count == f->pending_space) {
		f->pending_space = f->pending_space * 2 + 16;
		f->pending = reallocarray(f->pending, f->pending_space, sizeof(*f->pending));
		if (!f->pending)
			broken("no memory");
	}
	f->pending[f->count++] = (uint32_t)number;
}

static void sync_one_or_all(struct disk *d, const struct event *event)
{
	if (event->node != NODE_ALL)
		settle(d, file_of(d, event->node), event->offset);
	for (size_t i = 0; event->node == NODE_ALL && i < d->files_count; i++)
		settle(d, &d->files[i], event->offset);
}

static void request_begins(struct disk *d, uint32_t request)
{
	if (d->open_count == REQUESTS_MAX)
		broken("too many requests at a time");
	d->open_requests[d->open_count++] = request;
}

static bool is_open(const struct disk *d, uint32_t request, size_t *at)
{
	for (*at = 0; *at < d->open_count; ++*at)
		if (d->open_requests[*at] == request)
			return true;
	return false;
}

static void happen(struct disk *d, size_t number)
{
	const struct event *event = &d->log->events[number];
	size_t at;
	switch ((enum event_kind)event->kind) {
	case EVENT_WRITE:
	case EVENT_SIZE:
		await(d, event->node, number);
		break;
	case EVENT_MAKE:
	case EVENT_UNLINK:
	case EVENT_RENAME:
		await(d, event->dir, number);
		break;
	case EVENT_SYNC:
		sync_one_or_all(d, event);
		break;
	case EVENT_ASK:
		request_begins(d, event->request);
		break;
	case EVENT_ANSWER:
		if (is_open(d, event->request, &at))
			d->open_requests[at] = d->open_requests[--d->open_count];
		break;
	case EVENT_COVERED:
	case EVENT_SYNCED:
		if (event->offset > d->promised)
			d->promised = event->offset;
		break;
	default:
		objects_apply(&d->objects, d->log, event);
	}
}

void disk_advance(struct disk *d, size_t at)
{
	for (; d->at < at && d->at < d->log->count; d->at++)
		happen(d, d->at);
}

/* -- an image -- */

enum style { OLD, NEW, CUT, SECTORS, STYLES, MIXED };

struct image {
	const struct disk *disk;
	uint64_t random, hash;
	enum style style;
	struct entries names;
	/* of the file being made */
	const struct file *file;
	struct file out;
	enum style file_style;
	size_t cut, torn;
	char **paths;	/* of nodes that are made: a second name is a link */
	size_t paths_count;
	uint32_t *cuts; /* by sector: how many of the pending events have happened to it */
};

static bool has_happened(const struct image *im, size_t pending, size_t sector)
{
	switch (im->file_style) {
	case OLD:
		return false;
	case CUT:
		return pending < im->cut || (pending == im->cut && sector < im->torn);
	case SECTORS:
		return pending < im->cuts[sector];
	default:
		return true;
	}
}

static const struct event *pending_event(const struct image *im, size_t i)
{
	return &im->disk->log->events[im->file->pending[i]];
}

static size_t size_after(const struct image *im, size_t count)
{
	size_t size = im->file->size;
	for (size_t i = 0; i < count; i++) {
		const struct event *event = pending_event(im, i);
		if (event->kind == EVENT_SIZE)
			size = event->length;
		else if (event->offset + event->length > size)
			size = event->offset + event->length;
	}
	return size;
}

static size_t size_most(const struct image *im)
{
	size_t most = im->file->size;
	for (size_t i = 0; i < im->file->count; i++) {
		const struct event *event = pending_event(im, i);
		size_t end = event->kind == EVENT_SIZE ? event->length : event->offset + event->length;
		most = end > most ? end : most;
	}
	return most;
}

static void write_sectors(struct image *im, size_t i)
{
	const struct event *event = pending_event(im, i);
	size_t end = event->kind == EVENT_SIZE ? im->out.size : event->offset + event->length;
	size_t at = event->kind == EVENT_SIZE ? event->length : event->offset;
	while (at < end) {
		size_t sector = at / SECTOR, next = (sector + 1) * SECTOR;
		if (next > end)
			next = end;
		if (has_happened(im, i, sector)) {
			if (event->kind == EVENT_SIZE)
				memset(im->out.base + at, 0, next - at);
			else
				memcpy(im->out.base + at,
				       log_at(im->disk->log, event->data) + (at - event->offset), next - at);
		}
		at = next;
	}
}

static void draw_style(struct image *im, size_t sectors)
{
	static const unsigned keeps[] = {0, 10, 50, 90};
	size_t count = im->file->count;
	unsigned keep = keeps[draw_below(&im->random, 4)];
	im->file_style = im->style == MIXED ? draw_below(&im->random, STYLES) : im->style;
	im->cut = draw_below(&im->random, (unsigned)count + 1);
	im->torn = 0;
	if (im->file_style == CUT && im->cut < count) {
		const struct event *event = pending_event(im, im->cut);
		im->torn = event->offset / SECTOR + draw_below(&im->random, (unsigned)(event->length / SECTOR + 2));
	}
	if (im->file_style != SECTORS)
		return;
	im->cuts = reallocarray(im->cuts, sectors + 1, sizeof(*im->cuts));
	if (!im->cuts)
		broken("no memory");
	for (size_t i = 0; i <= sectors; i++) {
		bool old = draw_below(&im->random, 100) < keep;
		im->cuts[i] = old ? 0 : draw_below(&im->random, (unsigned)count + 1);
	}
}

/* What of a file is on the disk: im->out. */
static void make_bytes(struct image *im)
{
	size_t most = size_most(im), count = im->file->count;
	resize(&im->out, 0);
	resize(&im->out, most);
	memcpy(im->out.base, im->file->base ? im->file->base : im->out.base, im->file->size);
	draw_style(im, most / SECTOR);
	for (size_t i = 0; i < count; i++)
		write_sectors(im, i);
	size_t sizes = im->file_style == OLD ? 0 : im->file_style == NEW ? count : im->cut;
	resize(&im->out, size_after(im, sizes));
}

static void hash_more(struct image *im, const void *bytes, size_t length)
{
	im->hash = hash_bytes(im->hash, bytes, length);
}

/* LMDB's lock file is written through a map, so the disk may have anything there. */
static void make_garbage(struct image *im)
{
	for (size_t i = 0; i < im->out.size; i++)
		im->out.base[i] = (uint8_t)draw(&im->random);
}

static bool make_link(struct image *im, uint32_t node, const char *path)
{
	if (node >= im->paths_count) {
		size_t count = (size_t)node * 2 + 64;
		im->paths = reallocarray(im->paths, count, sizeof(*im->paths));
		if (!im->paths)
			broken("no memory");
		memset(im->paths + im->paths_count, 0, (count - im->paths_count) * sizeof(*im->paths));
		im->paths_count = count;
	}
	if (!im->paths[node]) {
		im->paths[node] = strdup(path);
		return false;
	}
	if (linkat(AT_FDCWD, im->paths[node], AT_FDCWD, path, 0))
		broken("%s: %s", path, strerror(errno));
	return true;
}

static void make_file(struct image *im, uint32_t node, const char *path)
{
	static const struct file empty;
	if (make_link(im, node, path))
		return;
	im->file = node < im->disk->files_count ? &im->disk->files[node] : &empty;
	make_bytes(im);
	if (im->style != NEW && strstr(path, "mdb-lock") && draw_below(&im->random, 2))
		make_garbage(im);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		broken("%s: %s", path, strerror(errno));
	write_fully(fd, im->out.base, im->out.size);
	close(fd);
	hash_more(im, im->out.base, im->out.size);
}

static void make_folder(struct image *im, uint32_t dir, const char *path)
{
	char below[512];
	for (size_t i = 0; i < im->names.count; i++) {
		const struct entry entry = im->names.items[i];
		if (entry.dir != dir)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry.name);
		hash_more(im, entry.name, strlen(entry.name));
		if (!entry.is_dir)
			make_file(im, entry.node, below);
		else if (mkdir(below, 0700))
			broken("%s: %s", below, strerror(errno));
		else
			make_folder(im, entry.node, below);
	}
}

static void make_names(struct image *im)
{
	const struct disk *d = im->disk;
	bool in_order = draw_below(&im->random, 2);
	unsigned keep = draw_below(&im->random, 101);
	size_t since = d->at, until;
	for (size_t i = 0; i < d->files_count; i++)
		if (d->files[i].count && is_name_event(&d->log->events[d->files[i].pending[0]]) &&
		    d->files[i].pending[0] < since)
			since = d->files[i].pending[0];
	until = since + (size_t)(draw(&im->random) % (d->at - since + 1));
	if (im->style == OLD || im->style == NEW) {
		in_order = true;
		until = im->style == OLD ? 0 : d->at;
	}
	entries_copy(&im->names, &d->names);
	for (size_t i = 0; i < d->files_count; i++)
		for (size_t j = 0; j < d->files[i].count; j++) {
			uint32_t number = d->files[i].pending[j];
			const struct event *event = &d->log->events[number];
			if (is_name_event(event) &&
			    (in_order ? number < until : draw_below(&im->random, 100) < keep))
				apply_name(d->log, &im->names, event);
		}
}

/* -- the bucket -- */

static bool is_effect(const struct event *event)
{
	return event->kind > EVENT_ASK && event->kind < EVENT_ANSWER;
}

/* Deletes of one request are independent; all other requests take effect as a whole. */
static void make_bucket(struct image *im, struct objects *bucket)
{
	const struct disk *d = im->disk;
	uint64_t random = draw(&im->random);
	size_t left = d->open_count, at;
	objects_copy(bucket, &d->objects);
	for (size_t i = d->at; left && i < d->log->count && i < d->at + LOOK_AHEAD; i++) {
		const struct event *event = &d->log->events[i];
		if ((!is_effect(event) && event->kind != EVENT_ANSWER) || !is_open(d, event->request, &at))
			continue;
		if (event->kind == EVENT_ANSWER) {
			left--;
			continue;
		}
		uint64_t own = random + event->request;
		if (event->kind == EVENT_NO_OBJECT)
			own += i;
		if (draw_below(&own, 2)) {
			objects_apply(bucket, d->log, event);
			hash_more(im, &i, sizeof(i));
		}
	}
}

uint64_t disk_image(const struct disk *d, enum cut cut, uint64_t seed, const char *folder, struct objects *bucket)
{
	static const enum style styles[] = {OLD, NEW, CUT, SECTORS, SECTORS, MIXED, MIXED, MIXED};
	struct image im = {.disk = d, .random = seed};
	im.style = cut == CUT_KILL ? NEW : styles[draw_below(&im.random, 8)];
	make_names(&im);
	make_folder(&im, NODE_ROOT, folder);
	make_bucket(&im, bucket);
	for (const struct stored_object *s = bucket->first; s; s = s->next) {
		hash_more(&im, s->key, strlen(s->key));
		hash_more(&im, s->whole.etag, strlen(s->whole.etag));
	}
	entries_destroy(&im.names);
	for (size_t i = 0; i < im.paths_count; i++)
		free(im.paths[i]);
	free(im.paths);
	free(im.out.base);
	free(im.cuts);
	return im.hash;
}
