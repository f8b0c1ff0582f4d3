/* What an actor can do. Each step is one change that is acknowledged as a whole; the model makes it too. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/file.h"
#include "cache/internal.h"
#include "cache/tree.h"
#include "files.h"
#include "record.h"
#include "seams.h"
#include "work.h"

static const struct caller caller = {1000, 1000};

#define must(call)                                                                                 \
	do {                                                                                       \
		int must_r = (call);                                                               \
		if (must_r)                                                                        \
			broken("%s:%d: %s: %s", __FILE__, __LINE__, #call, strerror(-must_r));     \
	} while (0)

void actor_note(struct actor *a, const char *what)
{
	struct step step = {.first = seam_txns.first, .last = seam_txns.last};
	const struct log *log = record_enter();
	if (log) {
		step.at = log->count;
		record_leave();
	}
	snprintf(step.what, sizeof(step.what), "%s", what);
	story_add(a->story, &a->model, &step);
	seam_txns = (struct seam_txns){0, 0};
}

/* -- choosing -- */

static unsigned below(struct actor *a, unsigned count)
{
	return draw_below(&a->random, count);
}

enum kind { REGULAR = 1, LINK = 2, FOLDER = 4 };

static struct model_name *choose(struct actor *a, unsigned kinds)
{
	size_t count = a->model.count, start = below(a, (unsigned)count);
	for (size_t i = 0; i < count; i++) {
		struct model_name *name = &a->model.names[(start + i) % count];
		unsigned kind = name->is_dir ? FOLDER : S_ISLNK(name->file->mode) ? LINK : REGULAR;
		if ((kind & kinds) && (kind != FOLDER || strchr(name->path, '/')))
			return name;
	}
	return NULL;
}

/* A path that is free, in any folder that there is. */
static bool choose_free(struct actor *a, char letter, char path[PATH_BYTES])
{
	const struct model_name *dir = below(a, 3) ? choose(a, FOLDER) : NULL;
	char text[2 * PATH_BYTES];
	snprintf(text, sizeof(text), "%s/%c%u", dir ? dir->path : a->story->top, letter, below(a, 24));
	if (strlen(text) >= PATH_BYTES - 24 || model_find(&a->model, text) ||
	    a->model.count + 2 >= MODEL_NAMES_MAX)
		return false;
	strcpy(path, text);
	return true;
}

static size_t choose_bytes(struct actor *a)
{
	static const unsigned most[] = {1, 100, 5000, 5000, 20000, 20000, 40000, 70000, 200000};
	size_t length = below(a, most[below(a, 9)] + 1);
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = draw(&a->random);
		memcpy(a->bytes + i, &word, 8);
	}
	return length;
}

/* -- content -- */

/* As programs do: in pieces, in order. */
static void write_pieces(struct actor *a, struct file *file, size_t offset, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t piece = length - at < 16384 ? length - at : 16384;
		must(files_write(file, offset + at, a->bytes + at, piece));
		at += piece;
		if (below(a, 8) == 0)
			record_nap(500);
	}
}

/* bytes[0, length) at offset of what the file has. */
static void model_patch(struct actor *a, struct model_file *file, size_t offset, size_t length)
{
	size_t size = offset + length > file->length ? offset + length : file->length;
	char *bytes = calloc(1, size + 1);
	if (!bytes)
		broken("no memory");
	if (file->length)
		memcpy(bytes, file->bytes, file->length);
	memcpy(bytes + offset, a->bytes, length);
	model_set_bytes(file, bytes, size);
	free(bytes);
}

static void note_synced(void)
{
	struct log *log = record_enter();
	if (!log)
		return;
	log_add(log, EVENT_SYNCED)->offset = seam_txns.last;
	record_leave();
}

static void publish(struct actor *a, struct file **file, const char *what)
{
	bool sync = below(a, 12) == 0;
	must(sync ? file_sync(*file) : file_flush(*file));
	if (sync || work_chosen() == WORK_DURABLE)
		note_synced();
	file_close(file);
	actor_note(a, what);
}

static void step_create(struct actor *a)
{
	char path[PATH_BYTES];
	struct create create = {.mode = 0640, .flags = O_RDWR, .caller = caller};
	struct file *file;
	struct stat st;
	if (!choose_free(a, 'f', path))
		return;
	must(files_walk(a->cache, path, &create.parent, &create.name));
	must(tree_create(a->cache, &create, &file, &st));
	struct model_name *name = model_add_file(&a->model, path, S_IFREG | 0640);
	actor_note(a, "create");
	size_t length = choose_bytes(a);
	write_pieces(a, file, 0, length);
	model_set_bytes(name->file, a->bytes, length);
	publish(a, &file, "write new");
}

static void step_overwrite(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	struct file *file;
	if (!name)
		return;
	must(files_open(a->cache, name->path, O_WRONLY | O_TRUNC, &file));
	size_t length = choose_bytes(a);
	write_pieces(a, file, 0, length);
	model_set_bytes(name->file, a->bytes, length);
	publish(a, &file, "overwrite");
}

static void change(struct actor *a, struct model_name *name, size_t offset, const char *what)
{
	struct file *file;
	size_t length = choose_bytes(a) % 30000;
	if (offset + length > sizeof(a->bytes) / 2)
		return;
	must(files_open(a->cache, name->path, O_RDWR, &file));
	write_pieces(a, file, offset, length);
	if (length)
		model_patch(a, name->file, offset, length);
	publish(a, &file, what);
}

static void step_patch(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	if (name)
		change(a, name, below(a, (unsigned)name->file->length + 3000), "patch");
}

static void step_append(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	if (name)
		change(a, name, name->file->length, "append");
}

static void step_truncate(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	struct stat st;
	if (!name)
		return;
	size_t size = below(a, 3) ? below(a, (unsigned)name->file->length + 1) : name->file->length + below(a, 9000);
	must(files_look(a->cache, name->path, &st));
	must(file_truncate(a->cache, st.st_ino, NULL, size, &st));
	char *bytes = calloc(1, size + 1);
	if (!bytes)
		broken("no memory");
	size_t keep = size < name->file->length ? size : name->file->length;
	if (keep)
		memcpy(bytes, name->file->bytes, keep);
	model_set_bytes(name->file, bytes, size);
	free(bytes);
	actor_note(a, "truncate");
}

static void step_read(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	struct stat st;
	if (!name)
		return;
	must(files_look(a->cache, name->path, &st));
	must(files_read(a->cache, st.st_ino, &bytes));
	if (bytes.length != name->file->length ||
	    (bytes.length && memcmp(bytes.data, name->file->bytes, bytes.length)))
		broken("%s: wrong bytes before any power cut", name->path);
}

/* A piece: large objects are then here in part. */
static void step_seek(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	struct file *file;
	for (unsigned i = 0; name && i < 8 && name->file->length < (1 << 20); i++)
		name = choose(a, REGULAR);
	if (!name || !name->file->length)
		return;
	size_t length = name->file->length, offset = below(a, (unsigned)length);
	size_t want = length - offset < 4096 ? length - offset : 4096;
	must(files_open(a->cache, name->path, O_RDONLY, &file));
	must(files_read_piece(file, offset, want, &bytes));
	file_close(&file);
	if (bytes.length != want || memcmp(bytes.data, name->file->bytes + offset, want))
		broken("%s: wrong bytes at %zu before any power cut", name->path, offset);
}

/* -- names -- */

static bool is_below(const char *path, const char *dir)
{
	size_t length = strlen(dir);
	return !strncmp(path, dir, length) && path[length] == '/';
}

static void step_rename(struct actor *a)
{
	const struct model_name *name = choose(a, REGULAR | LINK | FOLDER);
	struct rename rename = {0};
	char from[PATH_BYTES], to[PATH_BYTES];
	if (!name || !choose_free(a, name->is_dir ? 'd' : 'f', to))
		return;
	strcpy(from, name->path);
	if (is_below(to, from) || !model_may_move(&a->model, from, to))
		return;
	must(files_walk(a->cache, from, &rename.from_parent, &rename.from));
	must(files_walk(a->cache, to, &rename.to_parent, &rename.to));
	must(tree_rename(a->cache, &rename));
	model_move(&a->model, from, to);
	actor_note(a, name->is_dir ? "rename folder" : "rename");
}

static void step_replace(struct actor *a)
{
	const struct model_name *name = choose(a, REGULAR | LINK), *other = choose(a, REGULAR | LINK);
	struct rename rename = {.flags = below(a, 2) ? RENAME_EXCHANGE : 0};
	char from[PATH_BYTES], to[PATH_BYTES];
	if (!name || !other || name->file == other->file)
		return;
	strcpy(from, name->path);
	strcpy(to, other->path);
	must(files_walk(a->cache, from, &rename.from_parent, &rename.from));
	must(files_walk(a->cache, to, &rename.to_parent, &rename.to));
	must(tree_rename(a->cache, &rename));
	if (rename.flags) {
		struct model_name *first = model_find(&a->model, from), *second = model_find(&a->model, to);
		struct model_file *file = first->file;
		first->file = second->file;
		second->file = file;
	} else {
		model_remove(&a->model, to);
		model_move(&a->model, from, to);
	}
	actor_note(a, rename.flags ? "exchange" : "replace");
}

/* Two folders change places. */
static void step_exchange(struct actor *a)
{
	const struct model_name *name = choose(a, FOLDER), *other = choose(a, FOLDER);
	struct rename rename = {.flags = RENAME_EXCHANGE};
	char from[PATH_BYTES], to[PATH_BYTES];
	if (!name || name == other)
		return;
	strcpy(from, name->path);
	strcpy(to, other->path);
	if (is_below(from, to) || is_below(to, from) || !model_may_move(&a->model, from, to) ||
	    !model_may_move(&a->model, to, from))
		return;
	must(files_walk(a->cache, from, &rename.from_parent, &rename.from));
	must(files_walk(a->cache, to, &rename.to_parent, &rename.to));
	must(tree_rename(a->cache, &rename));
	model_move(&a->model, from, "?");
	model_move(&a->model, to, from);
	model_move(&a->model, "?", to);
	actor_note(a, "exchange folders");
}

static void unlink_path(struct actor *a, const char *path)
{
	uint64_t parent;
	const char *last;
	must(files_walk(a->cache, path, &parent, &last));
	must(tree_unlink(a->cache, parent, last));
}

static void step_unlink(struct actor *a)
{
	const struct model_name *name = choose(a, REGULAR | LINK);
	char path[PATH_BYTES];
	if (!name)
		return;
	strcpy(path, name->path);
	unlink_path(a, path);
	model_remove(&a->model, path);
	actor_note(a, "unlink");
}

/* Unlinked while it is open, written to, and closed. */
static void step_orphan(struct actor *a)
{
	const struct model_name *name = choose(a, REGULAR);
	struct file *file;
	char path[PATH_BYTES];
	if (!name || name->file->names > 1)
		return;
	strcpy(path, name->path);
	must(files_open(a->cache, path, O_RDWR, &file));
	unlink_path(a, path);
	model_remove(&a->model, path);
	actor_note(a, "unlink open");
	write_pieces(a, file, 0, choose_bytes(a) % 30000);
	if (below(a, 2))
		must(file_flush(file));
	file_close(&file);
	actor_note(a, "close unlinked");
}

static void step_mkdir(struct actor *a)
{
	char path[PATH_BYTES];
	uint64_t parent;
	const char *last;
	struct stat st;
	if (!choose_free(a, 'd', path))
		return;
	must(files_walk(a->cache, path, &parent, &last));
	must(tree_mkdir(a->cache, parent, last, 0750, &caller, &st));
	model_add_dir(&a->model, path, 0750);
	actor_note(a, "mkdir");
}

static void step_rmdir(struct actor *a)
{
	const struct model_name *name = choose(a, FOLDER);
	char path[PATH_BYTES];
	uint64_t parent;
	const char *last;
	if (!name || !model_is_empty(&a->model, name->path))
		return;
	strcpy(path, name->path);
	must(files_walk(a->cache, path, &parent, &last));
	must(tree_rmdir(a->cache, parent, last));
	model_remove(&a->model, path);
	actor_note(a, "rmdir");
}

static void step_link(struct actor *a)
{
	const struct model_name *name = choose(a, REGULAR);
	char path[PATH_BYTES];
	uint64_t parent;
	const char *last;
	struct stat st;
	if (!name || !choose_free(a, 'f', path))
		return;
	must(files_look(a->cache, name->path, &st));
	must(files_walk(a->cache, path, &parent, &last));
	must(tree_link(a->cache, st.st_ino, parent, last, &st));
	model_link(&a->model, name->file, path);
	actor_note(a, "link");
}

static void step_symlink(struct actor *a)
{
	char path[PATH_BYTES], target[32];
	uint64_t parent;
	const char *last;
	struct stat st;
	if (!choose_free(a, 'f', path))
		return;
	snprintf(target, sizeof(target), "../to/%llx", (unsigned long long)draw(&a->random));
	must(files_walk(a->cache, path, &parent, &last));
	must(tree_symlink(a->cache, parent, last, target, &caller, &st));
	model_set_bytes(model_add_file(&a->model, path, S_IFLNK | 0777)->file, target, strlen(target));
	actor_note(a, "symlink");
}

static void chmod_one(struct actor *a, struct model_name *name)
{
	struct attr_change change_mode = {.fields = ATTR_MODE, .mode = 0600 | below(a, 64)};
	struct stat st;
	must(files_look(a->cache, name->path, &st));
	must(tree_setattr(a->cache, st.st_ino, &change_mode, &st));
	uint32_t *mode = name->is_dir ? &name->mode : &name->file->mode;
	*mode = (*mode & S_IFMT) | change_mode.mode;
	actor_note(a, "chmod");
}

static void step_chmod(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR | FOLDER);
	if (name)
		chmod_one(a, name);
}

/* With attrs=object each of them is a copy of the object onto itself, and they come while one is under way. */
static void step_chmods(struct actor *a)
{
	struct model_name *name = choose(a, REGULAR);
	for (unsigned i = 0; name && i < 8 && name->file->length <= 32768; i++)
		name = choose(a, REGULAR); /* a large one: its ETag becomes another */
	for (unsigned i = 0; name && work_chosen() == WORK_ATTRS && i < 5; i++) {
		chmod_one(a, name);
		checkpoint_hurry(a->cache->flow.checkpoints);
		record_nap(6000);
	}
}

/* -- time -- */

static void step_sync(struct actor *a)
{
	uint64_t newest = index_newest(a->cache->flow.index);
	must(cache_sync(a->cache));
	seam_txns.last = newest;
	note_synced();
	seam_txns = (struct seam_txns){0, 0};
}

static void step_hurry(struct actor *a)
{
	checkpoint_hurry(a->cache->flow.checkpoints);
}

static void step_rest(struct actor *a)
{
	record_nap(below(a, 4) ? 10000 : 60000);
}

static const struct {
	void (*run)(struct actor *a);
	unsigned weight;
} steps[] = {
	{step_create, 22},   {step_overwrite, 10}, {step_patch, 6},   {step_append, 6}, {step_truncate, 5},
	{step_rename, 10},   {step_replace, 6},    {step_unlink, 10}, {step_orphan, 3}, {step_mkdir, 4},
	{step_rmdir, 2},     {step_link, 5},	   {step_symlink, 2}, {step_chmod, 4},	{step_read, 12},
	{step_sync, 2},	     {step_hurry, 8},	   {step_rest, 6},     {step_seek, 4},	{step_exchange, 2},
	{step_chmods, 6},
};

void *actor_run(void *arg)
{
	struct actor *a = arg;
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		sum += steps[i].weight;
	for (unsigned i = 0; i < a->steps; i++) {
		unsigned at = below(a, sum), j = 0;
		while (at >= steps[j].weight)
			at -= steps[j++].weight;
		steps[j].run(a);
		record_nap(below(a, 4) ? 300 : 3000);
	}
	return NULL;
}
