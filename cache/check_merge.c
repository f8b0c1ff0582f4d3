/* Listing and walk side by side, both in byte order of the keys:
 *
 *     same key    size and ETag as in the record: good. Else a second look
 *     only here   a second look: not sent yet, or the object is gone
 *     only there  what the index says is looked at once; if that does not explain it, a second look
 *
 * A second look costs one HEAD: so a bucket of which all is gone costs one for each file, a sound one none. */
#include <errno.h>
#include <string.h>
#include "check_internal.h"

struct merge {
	struct check *check;
	struct check_objects objects;
	struct check_walk *walk;
	const struct list_entry *object;
	const struct check_file *file;
};

static int next_object(struct merge *m)
{
	int r = m->objects.page ? check_objects_next(&m->objects, &m->object, m->check->why) : 0;

	if (!r && m->object) {
		m->check->sums->objects++;
		m->check->sums->bytes += m->object->object.size_bytes;
	}
	return r;
}

static int next_file(struct merge *m)
{
	int r = check_walk_next(m->walk, &m->file);

	if (!r && m->file) {
		m->check->sums->files++;
		check_progress(m->check);
		r = check_blob(m->check, m->file);
	}
	return r;
}

/* -- only in the bucket -- */

static int tell_key(struct check *c, const struct list_entry *entry, enum key_verdict verdict)
{
	bool marker = verdict == KEY_MARKER && !memchr(entry->key, '\0', entry->key_bytes);
	const struct check_case k = { .code = marker && !entry->object.size_bytes ? CHECK_MARKER : CHECK_BAD_KEY,
				      .key = entry->key,
				      .size = entry->object.size_bytes,
				      .detail = marker ? "" : key_verdict_text(verdict) };

	return check_found(c, &k);
}

static int only_there(struct check *c, const struct list_entry *entry)
{
	enum key_verdict verdict = key_check(entry->key, entry->key_bytes);
	size_t folder = strlen(c->folder);
	struct check_facts facts;

	if (verdict != KEY_GOOD)
		return tell_key(c, entry, verdict);
	if (folder && !strncmp(entry->key, c->folder, folder))
		return 0;
	int r = check_look(c->cache, entry->key, &facts);
	if (r)
		return r == -EUCLEAN ? 0 : r;
	c->sums->pending += facts.wished;
	c->sums->unlisted += !facts.wished && !facts.known && !facts.folder && !facts.complete;
	return check_judge(&facts, &entry->object) == CHECK_NONE ? 0 : check_again(c, entry->key);
}

/* -- only in the index, or in both -- */

static int only_here(struct check *c, const struct check_file *file)
{
	char key[KEY_BYTES_MAX + 1];

	strcpy(key, file->key);
	return check_again(c, key);
}

static int both(struct check *c, const struct check_file *file, const struct object *object)
{
	bool etags = !file->primary || !file->etag[0] || !object->etag[0] || !strcmp(file->etag, object->etag);

	if (!file->plain || !etags || file->size != object->size_bytes)
		return only_here(c, file);
	return c->headers ? check_header(c, file) : 0;
}

static int order(const struct merge *m)
{
	if (!m->object || !m->file)
		return m->object ? -1 : 1;
	size_t bytes = strlen(m->file->key);
	size_t least = bytes < m->object->key_bytes ? bytes : m->object->key_bytes;
	int d = memcmp(m->object->key, m->file->key, least);
	return d ? d : (m->object->key_bytes > bytes) - (m->object->key_bytes < bytes);
}

static int step(struct merge *m)
{
	struct check *c = m->check;
	int where = m->objects.page ? order(m) : 1, r = 0;

	c->names++;
	check_progress(c);
	if (where < 0)
		r = only_there(c, m->object);
	else if (where == 0)
		r = both(c, m->file, &m->object->object);
	else if (m->objects.page)
		r = only_here(c, m->file);
	if (!r && where <= 0)
		r = next_object(m);
	if (!r && where >= 0)
		r = next_file(m);
	return r;
}

int check_merge(struct check *c, check_page *page, void *arg)
{
	struct merge m = { .check = c };
	int r = check_walk_open(c, &m.walk);

	if (r)
		return r;
	m.objects.page = page;
	m.objects.arg = arg;
	r = next_object(&m);
	if (!r)
		r = next_file(&m);
	while (!r && (m.object || m.file))
		r = check_cancelled(c) ? -ECANCELED : step(&m);
	if (!r && c->headers)
		r = check_headers_end(c);
	check_objects_destroy(&m.objects);
	check_walk_close(&m.walk);
	if (r == -EILSEQ)
		buf_text(c->why, "this bucket does not list its keys in byte order, so it cannot be compared with the index in "
				 "one pass; --cache-only checks the cache by itself");
	return r;
}
