/* Listing a dir bucket in the order of S3: the byte order of whole keys.
 *
 * A folder's keys all start with its name and a slash, so the walk meets keys in order when each
 * folder is sorted as if folders' names ended in '/':
 *
 *     a-b        '-' is 2d
 *     a/x        '/' is 2f: the folder a
 *     a0         '0' is 30
 *
 * Memory does not grow with the folder: a pass over a folder keeps the CHUNK smallest names after
 * the cursor (in a heap, the largest on top), and a full chunk means another pass behind its last
 * name. No descriptor is held while a sub-folder is walked, so depth costs memory only, and key
 * length bounds depth.
 *
 * The cursor is a key and whether that key itself is still wanted. A page's token is the cursor of
 * the next page: ">KEY" after an object, "=KEY" behind a folder that was reported as one, where the
 * last slash becomes a '0', the next byte. */
#include "dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "cache/base/buf.h"

enum { CHUNK = 1024, PAGE_MAX = 1000 };

struct cursor {
	const char *key; /* NULL = from the start */
	bool inclusive;
};

struct found {
	char *name; /* malloc'ed */
	bool folder, gone;
	uint64_t size_bytes, inode;
	struct timespec mtime;
};

struct chunk {
	struct found *found;
	size_t count, space; /* at most CHUNK */
	bool full;	     /* names were left out */
};

struct walk {
	struct dir_bucket *d;
	struct cursor cursor;
	bool delimiter;
	size_t max, count;	    /* of the page */
	bool more;		    /* the walk ended with keys left */
	struct list_entry *entries; /* NULL: only whether there is an object at all */
	size_t *offsets;	    /* of each entry's key in keys */
	struct buf keys;
};

/* -- order -- */

/* Compares two names as the keys of their folder: a folder's name ends in '/'. */
static int name_order(const char *a, bool a_folder, const char *b, bool b_folder)
{
	for (;; a++, b++) {
		unsigned char x = (unsigned char)*a, y = (unsigned char)*b;

		if (x == 0 && a_folder)
			x = '/';
		if (y == 0 && b_folder)
			y = '/';
		if (x != y)
			return x < y ? -1 : 1;
		if (*a == 0 || *b == 0)
			return 0; /* both end: '/' is in no name */
	}
}

static int found_order(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return name_order(x->name, x->folder, y->name, y->folder);
}

/* Whether key may hold something that is wanted: itself, or, for a folder's prefix, a key below. */
static bool is_wanted(const struct cursor *c, const char *key, bool folder)
{
	int order;

	if (!c->key)
		return true;
	order = strcmp(key, c->key);
	if (order == 0)
		return c->inclusive || folder;
	return order > 0 || (folder && strncmp(key, c->key, strlen(key)) == 0);
}

/* -- one pass over a folder -- */

static void sift_down(struct found *f, size_t count)
{
	size_t i = 0, child;

	while ((child = 2 * i + 1) < count) {
		struct found moved = f[i];

		if (child + 1 < count && found_order(&f[child + 1], &f[child]) > 0)
			child++;
		if (found_order(&f[child], &f[i]) <= 0)
			break;
		f[i] = f[child];
		f[child] = moved;
		i = child;
	}
}

static bool chunk_grow(struct chunk *c)
{
	size_t space = c->space ? c->space * 4 : 16;
	struct found *grown;

	if (c->count < c->space || c->space == CHUNK)
		return true;
	grown = reallocarray(c->found, space, sizeof(*grown));
	if (!grown)
		return false;
	c->found = grown;
	c->space = space;
	return true;
}

/* Keeps the CHUNK smallest. The array is a heap only once it is full. */
static int chunk_add(struct chunk *c, const char *name, bool folder)
{
	struct found new = {.folder = folder};

	if (c->count == CHUNK) {
		c->full = true;
		if (name_order(name, folder, c->found[0].name, c->found[0].folder) >= 0)
			return 0;
	}
	new.name = chunk_grow(c) ? strdup(name) : NULL;
	if (!new.name)
		return -ENOMEM;
	if (c->count < CHUNK) {
		c->found[c->count++] = new;
		/* A descending array is a heap. */
		if (c->count == CHUNK) {
			qsort(c->found, CHUNK, sizeof(new), found_order);
			for (size_t i = 0; i < CHUNK / 2; i++) {
				struct found moved = c->found[i];

				c->found[i] = c->found[CHUNK - 1 - i];
				c->found[CHUNK - 1 - i] = moved;
			}
		}
		return 0;
	}
	free(c->found[0].name);
	c->found[0] = new;
	sift_down(c->found, CHUNK);
	return 0;
}

static void chunk_clear(struct chunk *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->found[i].name);
	c->count = 0;
	c->full = false;
}

/* 1 = a file, 2 = a folder, 0 = neither. */
static int kind_of(int fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type == DT_REG || e->d_type == DT_DIR)
		return e->d_type == DT_REG ? 1 : 2;
	if (e->d_type != DT_UNKNOWN || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return S_ISREG(st.st_mode) ? 1 : S_ISDIR(st.st_mode) ? 2 : 0;
}

/* Adds the entry if it is an object or a folder behind the cursor. key holds the prefix. */
static int consider(struct walk *w, struct chunk *c, char *key, size_t prefix_bytes, int fd,
		    const struct dirent *e)
{
	size_t length = strlen(e->d_name);
	int kind;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (prefix_bytes == 0 && strcmp(e->d_name, DIR_TEMP) == 0)
		return 0;
	/* Longer than a key may be: no object. A folder needs room for a slash and a name. */
	kind = prefix_bytes + length > KEY_BYTES_MAX ? 0 : kind_of(fd, e);
	if (kind == 0 || (kind == 2 && prefix_bytes + length + 2 > KEY_BYTES_MAX))
		return 0;
	memcpy(key + prefix_bytes, e->d_name, length + 1);
	if (kind == 2)
		memcpy(key + prefix_bytes + length, "/", 2);
	return is_wanted(&w->cursor, key, kind == 2) ? chunk_add(c, e->d_name, kind == 2) : 0;
}

/* What the files of the chunk are. */
static void chunk_stat(struct chunk *c, int fd)
{
	struct stat st;

	for (size_t i = 0; i < c->count; i++) {
		struct found *f = &c->found[i];

		if (f->folder)
			continue;
		f->gone =
		    fstatat(fd, f->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode);
		if (f->gone)
			continue;
		f->size_bytes = (uint64_t)st.st_size;
		f->inode = st.st_ino;
		f->mtime = st.st_mtim;
	}
}

/* Reads the next chunk of the folder that key[0, prefix_bytes) names. 0 or -errno. */
static int chunk_read(struct walk *w, struct chunk *c, char *key, size_t prefix_bytes)
{
	struct dirent *e;
	DIR *dir;
	int fd, r = 0;

	chunk_clear(c);
	/* The path of a folder is its prefix without the slash. */
	key[prefix_bytes ? prefix_bytes - 1 : 0] = '\0';
	fd = dir_open_at(w->d, key, O_RDONLY | O_DIRECTORY);
	if (prefix_bytes)
		key[prefix_bytes - 1] = '/';
	if (fd < 0) /* gone, or foreign: nothing is in it */
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = -errno;
			break;
		}
		r = consider(w, c, key, prefix_bytes, fd, e);
		if (r)
			break;
	}
	if (r == 0) {
		if (c->count > 0)
			qsort(c->found, c->count, sizeof(c->found[0]), found_order);
		chunk_stat(c, fd);
	}
	closedir(dir);
	return r;
}

/* -- the walk -- */

static int walk_folder(struct walk *w, char *key, size_t prefix_bytes);

/* 1 = the page is full. */
static int emit(struct walk *w, const char *key, const struct found *f)
{
	struct list_entry *e;
	struct stat st = {.st_size = (off_t)f->size_bytes, .st_ino = f->inode, .st_mtim = f->mtime};

	if (w->count == w->max) {
		w->more = true;
		return 1;
	}
	if (!w->entries) {
		w->count++;
		return 1;
	}
	e = &w->entries[w->count];
	memset(e, 0, sizeof(*e));
	e->folder = f->folder;
	e->key_bytes = strlen(key);
	if (!f->folder)
		dir_object(&st, &e->object);
	w->offsets[w->count++] = w->keys.length;
	buf_append(&w->keys, key, e->key_bytes + 1);
	return w->keys.failed ? -ENOMEM : 0;
}

/* Whether a folder holds an object behind the cursor; an empty one is nothing to S3. */
static int folder_has_object(struct walk *w, char *key, size_t prefix_bytes)
{
	struct walk look = {.d = w->d, .cursor = w->cursor, .max = 1};
	int r = walk_folder(&look, key, prefix_bytes);

	return r < 0 ? r : look.count > 0;
}

static int visit(struct walk *w, char *key, size_t prefix_bytes, const struct found *f)
{
	size_t length = prefix_bytes + strlen(f->name);
	int r;

	memcpy(key + prefix_bytes, f->name, strlen(f->name) + 1);
	if (!f->folder)
		return f->gone ? 0 : emit(w, key, f);
	memcpy(key + length, "/", 2);
	if (!w->delimiter)
		return walk_folder(w, key, length + 1);
	r = folder_has_object(w, key, length + 1);
	key[length + 1] = '\0';
	return r == 1 ? emit(w, key, f) : r;
}

/* 0 = walked to the end, 1 = the page is full, -errno. key[0, prefix_bytes) is the prefix; the
 * bytes behind it are scratch. Depth is bounded by KEY_BYTES_MAX. */
static int walk_folder(struct walk *w, char *key, size_t prefix_bytes)
{
	const struct cursor outer = w->cursor;
	struct chunk c = {0};
	struct buf behind = BUF_EMPTY;
	int r = 0;

	while (r == 0) {
		r = chunk_read(w, &c, key, prefix_bytes);
		for (size_t i = 0; r == 0 && i < c.count; i++)
			r = visit(w, key, prefix_bytes, &c.found[i]);
		if (r || !c.full)
			break;
		buf_clear(&behind);
		buf_append(&behind, key, prefix_bytes);
		buf_text(&behind, c.found[CHUNK - 1].name);
		if (c.found[CHUNK - 1].folder)
			buf_text(&behind, "0");
		if (behind.failed)
			r = -ENOMEM;
		w->cursor = (struct cursor){buf_string(&behind), c.found[CHUNK - 1].folder};
	}
	w->cursor = outer;
	chunk_clear(&c);
	free(c.found);
	buf_destroy(&behind);
	return r;
}

/* -- a page -- */

static char *token_of(const struct list_entry *last)
{
	struct buf token = BUF_EMPTY;

	buf_text(&token, last->folder ? "=" : ">");
	buf_append(&token, last->key, last->key_bytes - (last->folder ? 1 : 0));
	if (last->folder)
		buf_text(&token, "0");
	return buf_steal(&token);
}

static int page_finish(struct walk *w, struct list_page *out)
{
	for (size_t i = 0; i < w->count; i++)
		w->entries[i].key = w->keys.data + w->offsets[i];
	out->entries = w->entries;
	out->count = w->count;
	out->memory = buf_steal(&w->keys);
	w->entries = NULL;
	if (!w->more)
		return 0;
	out->token = token_of(&out->entries[out->count - 1]);
	return out->token ? 0 : -ENOMEM;
}

static int cursor_of(const struct list_request *q, struct cursor *out)
{
	*out = (struct cursor){q->after && q->after[0] ? q->after : NULL, false};
	if (!q->token)
		return 0;
	if (q->token[0] != '>' && q->token[0] != '=')
		return fault_set(-EINVAL, false, "the list token is not one of ours");
	*out = (struct cursor){q->token + 1, q->token[0] == '='};
	return 0;
}

int dir_list(void *self, const struct list_request *q, struct list_page *out)
{
	struct walk w = {.d = self, .delimiter = q->delimiter, .max = PAGE_MAX};
	char key[KEY_BYTES_MAX + NAME_BYTES_MAX + 3];
	size_t length = strlen(q->prefix);
	int r = cursor_of(q, &w.cursor);

	memset(out, 0, sizeof(*out));
	if (r)
		return r;
	if (dir_is_gone(w.d))
		return dir_gone(w.d);
	/* No key of ours can be below such a prefix. */
	if (length > 0 && key_check_prefix(q->prefix, length) != KEY_GOOD)
		return 0;
	if (q->page_max > 0 && q->page_max < PAGE_MAX)
		w.max = q->page_max;
	w.entries = malloc(w.max * sizeof(*w.entries));
	w.offsets = malloc(w.max * sizeof(*w.offsets));
	memcpy(key, q->prefix, length + 1);
	r = w.entries && w.offsets ? walk_folder(&w, key, length) : -ENOMEM;
	if (r >= 0)
		r = page_finish(&w, out);
	free(w.entries);
	free(w.offsets);
	buf_destroy(&w.keys);
	if (r < 0) {
		list_page_destroy(out);
		return dir_fault(w.d, r, "list", q->prefix[0] ? q->prefix : "the top");
	}
	return 0;
}
