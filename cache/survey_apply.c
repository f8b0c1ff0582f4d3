/* Names are added to directories that are not complete, and to no others: the flag is read in the transaction that adds, so
 * whatever was listed before a local change (which needs a complete directory) is dropped here.
 *
 * A listing with delimiter is one directory. A listing of everything is a walk: the directories of the key that was passed
 * last are a path; the next key leaves some of them and enters others.
 *
 *     last   a/b/c/x       path a/ a/b/ a/b/c/
 *     next   a/d/y         leaves a/b/c/ and a/b/, enters a/d/
 *
 * A directory that is left was seen from its first to its last key, if the keys are in order: then it is complete.
 * That holds for byte order, for the UTF-16 order of some servers, and for any order that keeps a directory
 * together; it fails where keys come in no order at all. So order is checked on the way, and what was left during the
 * first keys counts only after enough of them came in order, or all did.
 *
 * A key with a bad part ("a//b", "a/../b", "a/" itself) makes the directories in front of that part, since a
 * delimiter listing shows them too, and is skipped. */
#include "survey_apply.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/index/names.h"

const char *survey_skip_text(unsigned skip)
{
	if (skip == SURVEY_SKIP_FOLDER)
		return "object with the name of a folder";
	if (skip == SURVEY_SKIP_FOREIGN)
		return "not what was asked for";
	return key_verdict_text(skip);
}

static void skip(struct survey_found *found, unsigned why, const struct list_entry *entry)
{
	if (found->skipped[why]++ == 0)
		found->examples[why] = entry;
}

/* -- nodes and names -- */

static int count_subfolder(struct txn *txn, uint64_t parent)
{
	struct node_record record;
	int r = nodes_get(txn, parent, &record);

	if (r)
		return r;
	record.nlink++;
	return nodes_put(txn, &record);
}

int survey_apply_name(struct txn *txn, const struct cache_config *config, uint64_t parent, const char *name,
		      const struct object *object, uint64_t *ino)
{
	int64_t time_ns = object ? object->mtime_ns : clock_wall_ns();
	struct node_record node = {
		.ino = txn_new_ino(txn),
		.parent = parent,
		.mode = object ? S_IFREG | (config->file_mode & 07777) : S_IFDIR | (config->dir_mode & 07777),
		.uid = config->uid,
		.gid = config->gid,
		.nlink = object ? 1 : 2,
		.flags = object ? NODE_GUESSED : 0,
		.atime_ns = time_ns,
		.mtime_ns = time_ns,
		.ctime_ns = time_ns,
	};

	strcpy(node.name, name);
	if (object) {
		_Static_assert((int)NODE_ETAG_BYTES == (int)ETAG_BYTES, "etags are copied whole");
		node.size = object->size_bytes;
		node.version = 1;
		memcpy(node.etag, object->etag, sizeof(node.etag));
	}
	int r = names_put(txn, parent, name, !object, node.ino, 0);
	if (!r)
		r = nodes_put(txn, &node);
	if (!r && !object)
		r = count_subfolder(txn, parent);
	*ino = node.ino;
	return r;
}

static int complete(struct txn *txn, uint64_t ino, struct survey_found *found)
{
	struct node_record record;
	int r = nodes_get(txn, ino, &record);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (!S_ISDIR(record.mode) || (record.flags & NODE_COMPLETE))
		return 0;
	record.flags |= NODE_COMPLETE;
	found->folders++;
	return nodes_put(txn, &record);
}

/* A file that only a listing knows makes way for a folder of its name. 0, or -EEXIST: it stays. */
static int make_way(struct txn *txn, uint64_t parent, const struct name *name, struct survey_found *found)
{
	struct node_record record;
	int r = nodes_get(txn, name->ino, &record);

	if (r)
		return r;
	if (!S_ISREG(record.mode) || !(record.flags & NODE_GUESSED) || record.content != CONTENT_REMOTE ||
	    record.blob || record.version != 1 || record.home[0] || record.nlink != 1)
		return -EEXIST;
	r = names_delete(txn, parent, name->text, false);
	if (!r)
		r = nodes_delete(txn, name->ino);
	if (!r && found->changed_count < SURVEY_CHANGED_MAX)
		found->changed[found->changed_count++] = name->ino;
	found->made_way |= r == 0;
	return r;
}

/* The object of that name is not shown any more: counted with the entry that took its place. */
static void note_way(struct survey_found *found, const struct list_entry *entry)
{
	if (found->made_way)
		skip(found, SURVEY_SKIP_FOLDER, entry);
	found->made_way = false;
}

/* A part of a key as a NUL-terminated name. */
static void name_of(char out[NAME_BYTES_MAX + 1], const char *bytes, size_t length)
{
	memcpy(out, bytes, length);
	out[length] = '\0';
}

struct folder {
	uint64_t ino;
	bool complete;
};

/* The sub-directory, made where the directory is not complete. -ENOENT: it has none. -EEXIST: a file is in its place. */
static int enter(struct txn *txn, const struct cache_config *config, const struct folder *parent,
		 const char *text, struct folder *out, struct survey_found *found)
{
	struct node_record record;
	struct name name;
	int r = names_get(txn, parent->ino, text, &name);

	if (!r && name.folder) {
		r = nodes_get(txn, name.ino, &record);
		*out = (struct folder){ name.ino, !r && (record.flags & NODE_COMPLETE) };
		return r;
	}
	if (parent->complete)
		return -ENOENT;
	if (!r)
		r = make_way(txn, parent->ino, &name, found);
	if (r && r != -ENOENT)
		return r;
	out->complete = false;
	return survey_apply_name(txn, config, parent->ino, text, NULL, &out->ino);
}

static int add_file(struct txn *txn, const struct cache_config *config, const struct folder *parent,
		    const char *text, const struct list_entry *entry, struct survey_found *found)
{
	struct name name;
	uint64_t ino;

	if (parent->complete)
		return 0;
	int r = names_get(txn, parent->ino, text, &name);
	if (!r && name.folder)
		skip(found, SURVEY_SKIP_FOLDER, entry);
	if (r != -ENOENT)
		return r;
	return survey_apply_name(txn, config, parent->ino, text, &entry->object, &ino);
}

/* -- one directory -- */

static int apply_child(struct txn *txn, const struct cache_config *config, const struct survey_folder *f,
		       const struct list_entry *entry, struct survey_found *found)
{
	const struct folder parent = { f->ino, false };
	size_t prefix = strlen(f->prefix);
	char text[NAME_BYTES_MAX + 1];
	struct folder child;

	if (!entry->folder)
		found->keys++;
	if (entry->key_bytes < prefix || memcmp(entry->key, f->prefix, prefix) != 0) {
		skip(found, SURVEY_SKIP_FOREIGN, entry);
		return 0;
	}
	const char *name = entry->key + prefix, *slash = memchr(name, '/', entry->key_bytes - prefix);
	size_t length = slash ? (size_t)(slash - name) : entry->key_bytes - prefix;
	bool good = name_check(name, length) == 0 && entry->key_bytes <= KEY_BYTES_MAX;
	bool bare = !slash || (entry->folder && slash + 1 == entry->key + entry->key_bytes);
	if (!good || !bare) {
		unsigned why = entry->folder ? key_check_prefix(entry->key, entry->key_bytes)
					     : key_check(entry->key, entry->key_bytes);
		skip(found, why == KEY_GOOD ? SURVEY_SKIP_FOREIGN : why, entry);
	}
	if (!good)
		return 0;
	name_of(text, name, length);
	if (!slash)
		return add_file(txn, config, &parent, text, entry, found);
	int r = enter(txn, config, &parent, text, &child, found);
	note_way(found, entry);
	if (r == -EEXIST)
		skip(found, SURVEY_SKIP_FOLDER, entry);
	return r == -EEXIST ? 0 : r;
}

int survey_apply_folder(struct txn *txn, const struct cache_config *config, const struct survey_folder *folder,
			const struct list_page *page, struct survey_found *found)
{
	struct node_record record;
	int r = nodes_get(txn, folder->ino, &record);

	if (r)
		return r;
	if (!S_ISDIR(record.mode))
		return -ENOENT;
	if (record.flags & NODE_COMPLETE)
		return -EALREADY;
	for (size_t i = 0; !r && i < page->count; i++)
		r = apply_child(txn, config, folder, &page->entries[i], found);
	if (!r && folder->last)
		r = complete(txn, folder->ino, found);
	return r;
}

/* -- a walk -- */

enum { DEPTH_MAX = KEY_BYTES_MAX / 2 + 1 };

/* The directories of walk->last; path[0] is the root. end: of the directory's part of the key, with its '/'. */
struct path {
	struct {
		struct folder folder;
		size_t end;
	} items[DEPTH_MAX];
	size_t depth;
};

static int path_start(struct txn *txn, const struct survey_walk *walk, struct path *path)
{
	struct node_record record;
	struct name name;
	char text[NAME_BYTES_MAX + 1];
	size_t start = 0;
	int r = nodes_get(txn, INO_ROOT, &record);

	if (r)
		return r;
	path->items[0].folder = (struct folder){ INO_ROOT, record.flags & NODE_COMPLETE };
	path->items[0].end = 0;
	path->depth = 1;
	for (const char *slash; (slash = memchr(walk->last + start, '/', walk->last_bytes - start));) {
		size_t length = (size_t)(slash - walk->last) - start;
		if (name_check(walk->last + start, length))
			return 0;
		name_of(text, walk->last + start, length);
		start += length + 1;
		r = names_get(txn, path->items[path->depth - 1].folder.ino, text, &name);
		if (!r && name.folder)
			r = nodes_get(txn, name.ino, &record);
		if (r || !name.folder)
			return r == -ENOENT ? 0 : r;
		path->items[path->depth].folder = (struct folder){ name.ino, record.flags & NODE_COMPLETE };
		path->items[path->depth++].end = start;
	}
	return 0;
}

static int passed(struct txn *txn, struct survey_walk *walk, const struct folder *folder,
		  struct survey_found *found)
{
	if (folder->complete)
		return 0;
	if (walk->keys >= SURVEY_PROBATION_KEYS)
		return complete(txn, folder->ino, found);
	if (walk->passed_count < SURVEY_PROBATION_FOLDERS)
		walk->passed[walk->passed_count++] = folder->ino;
	return 0;
}

/* Leaves every directory that the next key, of which the first `common` bytes are as in the last one, is not in. */
static int path_leave(struct txn *txn, struct survey_walk *walk, struct path *path, size_t common,
		      struct survey_found *found)
{
	int r = 0;

	while (!r && path->items[path->depth - 1].end > common)
		r = passed(txn, walk, &path->items[--path->depth].folder, found);
	return r;
}

/* All that was held back in the probation. */
static int trust(struct txn *txn, struct survey_walk *walk, struct survey_found *found)
{
	int r = 0;

	while (!r && walk->passed_count)
		r = complete(txn, walk->passed[--walk->passed_count], found);
	return r;
}

static int apply_key(struct txn *txn, const struct cache_config *config, struct path *path,
		     const struct list_entry *entry, struct survey_found *found)
{
	char text[NAME_BYTES_MAX + 1];
	int r = 0;

	while (!r) {
		struct folder *parent = &path->items[path->depth - 1].folder;
		size_t start = path->items[path->depth - 1].end;
		const char *name = entry->key + start, *slash = memchr(name, '/', entry->key_bytes - start);
		size_t length = slash ? (size_t)(slash - name) : entry->key_bytes - start;
		if (name_check(name, length)) {
			skip(found, key_check(entry->key, entry->key_bytes), entry);
			return 0;
		}
		name_of(text, name, length);
		if (!slash)
			return add_file(txn, config, parent, text, entry, found);
		r = enter(txn, config, parent, text, &path->items[path->depth].folder, found);
		note_way(found, entry);
		if (!r)
			path->items[path->depth++].end = start + length + 1;
	}
	if (r == -EEXIST)
		skip(found, SURVEY_SKIP_FOLDER, entry);
	return r == -EEXIST || r == -ENOENT ? 0 : r;
}

/* How many bytes the key has in common with the last one; -EILSEQ: it comes before it. */
static int advance(struct survey_walk *walk, const struct list_entry *entry, size_t *common)
{
	size_t least = walk->last_bytes < entry->key_bytes ? walk->last_bytes : entry->key_bytes, i = 0;

	while (i < least && walk->last[i] == entry->key[i])
		i++;
	*common = i;
	bool before = i < least ? (unsigned char)entry->key[i] < (unsigned char)walk->last[i]
				: entry->key_bytes < walk->last_bytes;
	return before ? -EILSEQ : 0;
}

int survey_apply_walk(struct txn *txn, const struct cache_config *config, struct survey_walk *walk,
		      const struct list_page *page, struct survey_found *found)
{
	struct path path;
	size_t common;
	int r = path_start(txn, walk, &path);

	for (size_t i = 0; !r && i < page->count; i++) {
		const struct list_entry *entry = &page->entries[i];
		found->keys++;
		if (entry->folder || entry->key_bytes == 0 || entry->key_bytes > KEY_BYTES_MAX) {
			skip(found, entry->folder ? SURVEY_SKIP_FOREIGN : key_check(entry->key, entry->key_bytes), entry);
			continue;
		}
		r = advance(walk, entry, &common);
		if (!r)
			r = path_leave(txn, walk, &path, common, found);
		if (!r)
			r = apply_key(txn, config, &path, entry, found);
		memcpy(walk->last, entry->key, entry->key_bytes);
		walk->last_bytes = entry->key_bytes;
		walk->keys++;
	}
	if (!r && walk->keys >= SURVEY_PROBATION_KEYS)
		r = trust(txn, walk, found);
	return r;
}

int survey_apply_end(struct txn *txn, struct survey_walk *walk, struct survey_found *found)
{
	struct path path;
	int r = path_start(txn, walk, &path);

	if (!r)
		r = trust(txn, walk, found);
	for (size_t i = 0; !r && i < path.depth; i++)
		r = complete(txn, path.items[i].folder.ino, found);
	return r;
}
