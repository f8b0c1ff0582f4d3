/* shared=SECONDS: a complete directory is listed again, and what others did to it is taken over.
 *
 *   1  look       the directory's names and their versions, and which of them this mount has wishes for
 *   2  list       all pages, in memory (up to ENTRIES_MAX; larger directories stay as they are)
 *   3  compare    listed, not here   → added        all in one transaction
 *                 here, not listed   → removed      one by one, where nobody has it open
 *                 another object     → replaced     one by one
 *
 * A listing is older than the local changes made while it was under way. So nothing is added when the directory has changed
 * since the look; nothing at all happens where it, or one above it, has another name by now, to a name that had a wish
 * pending at the look or has one now (its object is about to change by our own doing), nor to a node whose version is not
 * that of the look.
 *
 * Directories are never removed: an empty one has no object, so that its absence says nothing. A bucket that does
 * not answer leaves everything as it is: names that may be old are better than none. */
#include "survey_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"

enum { ENTRIES_MAX = 50000 };

struct entry {
	char *name;
	bool folder;
	bool busy;              /* here: had a wish at the look */
	bool added;             /* listed: was not here */
	uint64_t ino, version;  /* here */
	struct object object;   /* listed; here: size and etag */
};

struct entries {
	struct entry *items;
	size_t count, space;
};

struct refresh {
	struct survey *survey;
	uint64_t ino;
	char prefix[KEY_BYTES_MAX + 2];
	int64_t mtime_ns, ctime_ns; /* of the directory, at the look */
	struct entries here, busy, listed;
	struct txn *txn;
	bool changed;
	struct survey_changes sums;
};

/* A directory that was renamed since the look was listed by its old name. */
static int check_prefix(struct txn *txn, const struct refresh *f)
{
	char prefix[KEY_BYTES_MAX + 2];
	int r = survey_prefix(txn, f->ino, prefix);

	return r ? r : strcmp(prefix, f->prefix) ? -EAGAIN : 0;
}

/* -- sorted names -- */

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->folder - y->folder;
}

static void entries_destroy(struct entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->items[i].name);
	free(e->items);
}

/* A new element with a copy of the name, or NULL. */
static struct entry *entries_add(struct entries *e, const char *name, size_t length)
{
	if (e->count == e->space) {
		size_t space = e->space ? 2 * e->space : 64;
		struct entry *items = reallocarray(e->items, space, sizeof(*items));
		if (!items)
			return NULL;
		e->items = items;
		e->space = space;
	}
	struct entry *entry = &e->items[e->count];
	memset(entry, 0, sizeof(*entry));
	entry->name = strndup(name, length);
	if (!entry->name)
		return NULL;
	e->count++;
	return entry;
}

static void entries_sort(struct entries *e)
{
	if (e->count)
		qsort(e->items, e->count, sizeof(*e->items), compare);
}

static struct entry *entries_find(const struct entries *e, const char *name, bool folder)
{
	struct entry wanted = { .name = (char *)name, .folder = folder };

	return e->count ? bsearch(&wanted, e->items, e->count, sizeof(wanted), compare) : NULL;
}

static bool is_busy(const struct refresh *f, const char *name)
{
	return entries_find(&f->busy, name, false) != NULL;
}

/* -- the look -- */

static int see(void *arg, const struct name *name)
{
	struct refresh *f = arg;
	struct node_record record;
	struct entry *entry = entries_add(&f->here, name->text, strlen(name->text));

	if (!entry)
		return -ENOMEM;
	if (f->here.count > ENTRIES_MAX)
		return -EFBIG;
	entry->folder = name->folder;
	entry->ino = name->ino;
	if (name->folder)
		return 0;
	int r = nodes_get(f->txn, name->ino, &record);
	if (r)
		return r;
	entry->version = record.version;
	entry->object.size_bytes = record.size;
	memcpy(entry->object.etag, record.etag, sizeof(record.etag));
	return 0;
}

/* Every child that has a wish pending at its key, or anywhere below. */
static int see_wishes(struct refresh *f)
{
	struct pending_record pending;
	char after[KEY_BYTES_MAX + 8];
	size_t prefix = strlen(f->prefix);
	int r;

	strcpy(after, f->prefix);
	while ((r = pending_next(f->txn, after, &pending)) == 0 && !strncmp(pending.key, f->prefix, prefix)) {
		const char *name = pending.key + prefix, *slash = strchr(name, '/');
		size_t length = slash ? (size_t)(slash - name) : strlen(name);
		if (!entries_add(&f->busy, name, length))
			return -ENOMEM;
		/* The rest below a folder says no more. */
		memcpy(after, pending.key, sizeof(pending.key));
		if (slash)
			strcpy(after + prefix + length, "/\xff\xff\xff\xff");
		if (strcmp(after, pending.key) < 0)
			memcpy(after, pending.key, sizeof(pending.key));
	}
	entries_sort(&f->busy);
	return r == -ENOENT ? 0 : r;
}

static int look(struct refresh *f)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int r = txn_begin_read(f->survey->cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, f->ino, &record);
	if (r)
		return r;
	if (!S_ISDIR(record.mode) || !(record.flags & NODE_COMPLETE))
		return -EAGAIN;
	f->mtime_ns = record.mtime_ns;
	f->ctime_ns = record.ctime_ns;
	f->txn = txn;
	r = survey_prefix(txn, f->ino, f->prefix);
	if (!r)
		r = names_each(txn, f->ino, NULL, see, f);
	if (r >= 0)
		r = see_wishes(f);
	entries_sort(&f->here);
	return r;
}

/* -- the listing -- */

static int keep(struct refresh *f, const struct list_page *page)
{
	size_t prefix = strlen(f->prefix);

	for (size_t i = 0; i < page->count; i++) {
		const struct list_entry *e = &page->entries[i];
		if (e->key_bytes <= prefix || memcmp(e->key, f->prefix, prefix) != 0 ||
		    e->key_bytes > KEY_BYTES_MAX)
			continue;
		size_t length = e->key_bytes - prefix - e->folder;
		if (name_check(e->key + prefix, length))
			continue;
		if (f->listed.count >= ENTRIES_MAX)
			return -EFBIG;
		struct entry *entry = entries_add(&f->listed, e->key + prefix, length);
		if (!entry)
			return -ENOMEM;
		entry->folder = e->folder;
		entry->object = e->object;
	}
	return 0;
}

static int list_all(struct refresh *f)
{
	AUTO_FREE char *token = NULL;
	int r = 0;

	do {
		const struct list_request request = { .prefix = f->prefix, .delimiter = true, .token = token };
		struct list_page page;
		r = survey_list(f->survey, &request, &page);
		if (r)
			return r;
		r = keep(f, &page);
		free(token);
		token = page.token;
		page.token = NULL;
		list_page_destroy(&page);
	} while (!r && token);
	entries_sort(&f->listed);
	return r;
}

/* -- what others added -- */

static int has_wish(struct txn *txn, const char *key, bool folder, bool *out)
{
	struct pending_record pending;
	char below[KEY_BYTES_MAX + 2];
	int r = pending_get(txn, key, &pending);

	*out = r == 0;
	if (r != -ENOENT || !folder)
		return r == -ENOENT ? 0 : r;
	size_t length = strlen(key);
	memcpy(below, key, length);
	strcpy(below + length, "/");
	r = pending_next(txn, below, &pending);
	*out = !r && !strncmp(pending.key, below, length + 1);
	return r == -ENOENT ? 0 : r;
}

static int add_one(struct refresh *f, struct txn *txn, struct entry *e)
{
	char key[KEY_BYTES_MAX + 1];
	struct name name;
	uint64_t ino;
	bool wish;

	if (entries_find(&f->here, e->name, true) || entries_find(&f->here, e->name, false) ||
	    is_busy(f, e->name) || (!e->folder && entries_find(&f->listed, e->name, true)))
		return 0;
	int r = names_get(txn, f->ino, e->name, &name);
	if (r != -ENOENT)
		return r;
	r = nodes_key_of_name(txn, f->ino, e->name, key);
	if (!r)
		r = has_wish(txn, key, e->folder, &wish);
	if (r || wish)
		return r;
	f->changed = e->added = true;
	f->sums.added++;
	return survey_apply_name(txn, f->survey->cache->config, f->ino, e->name,
				 e->folder ? NULL : &e->object, &ino);
}

static int touch(struct refresh *f, struct txn *txn)
{
	struct node_record record;
	int r = nodes_get(txn, f->ino, &record);

	if (r)
		return r;
	record.mtime_ns = record.ctime_ns = clock_wall_ns();
	return nodes_put(txn, &record);
}

static void tell_name(const struct refresh *f, const struct entry *e)
{
	const struct cache_watcher *watcher = &f->survey->cache->watcher;

	if (watcher->named)
		watcher->named(watcher->arg, f->ino, e->name);
}

static int add_all(struct refresh *f)
{
	struct flow *flow = &f->survey->cache->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int r = index_tight(flow->index) ? -ENOSPC : txn_begin_write(flow->index, &txn);

	if (!r)
		r = nodes_get(txn, f->ino, &record);
	if (r)
		return r;
	if (record.mtime_ns != f->mtime_ns || record.ctime_ns != f->ctime_ns)
		return -EAGAIN;
	r = check_prefix(txn, f);
	for (size_t i = 0; !r && i < f->listed.count; i++)
		r = add_one(f, txn, &f->listed.items[i]);
	if (!r && f->changed)
		r = touch(f, txn);
	if (!r && f->changed)
		r = txn_commit(&txn);
	for (size_t i = 0; !r && i < f->listed.count; i++)
		if (f->listed.items[i].added)
			tell_name(f, &f->listed.items[i]);
	return r;
}

/* -- what others removed or replaced -- */

/* Is the node still what the look saw, with nothing of ours under way? */
static int unchanged(struct txn *txn, const struct refresh *f, const struct entry *e, char key[KEY_BYTES_MAX + 1])
{
	struct node_record record;
	bool wish;
	int r = check_prefix(txn, f);

	if (!r)
		r = nodes_get(txn, e->ino, &record);
	if (!r && (record.parent != f->ino || strcmp(record.name, e->name) != 0 || record.nlink != 1 ||
		   record.home[0] || record.version != e->version || record.content == CONTENT_DIRTY ||
		   strcmp(record.etag, e->object.etag) != 0))
		return -EAGAIN;
	if (!r)
		r = nodes_key(txn, e->ino, key);
	if (!r)
		r = has_wish(txn, key, false, &wish);
	return !r && wish ? -EAGAIN : r;
}

static int remove_locked(struct refresh *f, struct node *node, const struct entry *e) REQUIRES(&node->lock);
static int remove_locked(struct refresh *f, struct node *node, const struct entry *e)
{
	struct flow *flow = node->flow;
	AUTO_ABORT struct txn *txn = NULL;
	char key[KEY_BYTES_MAX + 1];

	if (node->locked.gone || node->locked.opens || node->locked.draft || node->locked.stream)
		return -EAGAIN;
	int r = txn_begin_write(flow->index, &txn);
	if (!r)
		r = unchanged(txn, f, e, key);
	if (!r)
		r = names_delete(txn, f->ino, e->name, false);
	if (!r)
		r = nodes_delete(txn, e->ino);
	if (!r)
		r = touch(f, txn);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	node->locked.gone = true;
	if (node->locked.published_blob)
		checkpoint_condemn(flow->checkpoints, node->locked.published_blob, node->locked.reserved);
	return 0;
}

static int replace_locked(struct refresh *f, struct node *node, const struct entry *e,
			  const struct object *object) REQUIRES(&node->lock);
static int replace_locked(struct refresh *f, struct node *node, const struct entry *e,
			  const struct object *object)
{
	AUTO_ABORT struct txn *txn = NULL;
	char key[KEY_BYTES_MAX + 1];
	int r = txn_begin_read(node->flow->index, &txn);

	if (!r)
		r = unchanged(txn, f, e, key);
	txn_abort(&txn);
	/* It looks at version and wishes once more, in its own transaction. */
	return r ? r : fill_adopt_locked(node, key, object);
}

static bool differs(const struct entry *here, const struct object *listed)
{
	bool etags = here->object.etag[0] && listed->etag[0] && strcmp(here->object.etag, listed->etag) != 0;

	return etags || here->object.size_bytes != listed->size_bytes;
}

/* 0 or a failure of the index; what cannot be done now is done another time. */
static int settle(struct refresh *f, const struct entry *e)
{
	struct flow *flow = &f->survey->cache->flow;
	const struct entry *listed = entries_find(&f->listed, e->name, false);
	struct node *node;

	if (e->folder || is_busy(f, e->name) || (listed && !differs(e, &listed->object)))
		return 0;
	int r = node_get(flow->nodes, e->ino, &node);
	if (r)
		return r == -ENOENT || r == -EISDIR ? 0 : r;
	lock_take(&node->lock);
	r = listed ? replace_locked(f, node, e, &listed->object) : remove_locked(f, node, e);
	lock_drop(&node->lock);
	node_put(&node);
	if (r)
		return r == -EAGAIN || r == -ECANCELED || r == -ENOENT ? 0 : r;
	f->changed = true;
	f->sums.replaced += listed != NULL;
	f->sums.removed += listed == NULL;
	if (!listed)
		tell_name(f, e);
	if (flow->changed)
		flow->changed(flow->changed_arg, e->ino);
	return 0;
}

static int take_over(struct refresh *f)
{
	struct flow *flow = &f->survey->cache->flow;
	int r = add_all(f);

	if (r)
		return r;
	for (size_t i = 0; !r && i < f->here.count; i++)
		r = settle(f, &f->here.items[i]);
	if (f->changed) {
		checkpoint_kick(flow->checkpoints);
		if (flow->changed)
			flow->changed(flow->changed_arg, f->ino);
	}
	return r;
}

/* *listing: what the bucket answered, where it was asked. */
static int refresh(struct survey *s, uint64_t ino, struct survey_changes *sums, int *listing)
{
	struct refresh *f = calloc(1, sizeof(*f));

	*listing = 0;
	if (!f)
		return -ENOMEM;
	f->survey = s;
	f->ino = ino;
	int r = look(f);
	*listing = r ? 0 : list_all(f);
	if (!r && !*listing)
		r = take_over(f);
	entries_destroy(&f->here);
	entries_destroy(&f->busy);
	entries_destroy(&f->listed);
	*sums = f->sums;
	free(f);
	return r;
}

int survey_refresh(struct survey *s, uint64_t ino)
{
	int64_t now = clock_ms(), last = survey_time_get(s, ino);
	struct survey_changes sums;
	int listing;

	if ((last != INT64_MIN && now - last < (int64_t)s->cache->config->shared_s * 1000) || survey_stopping(s))
		return 0;
	/* Who comes meanwhile goes on with what is known. */
	survey_time_set(s, ino, now);
	int r = refresh(s, ino, &sums, &listing);
	if (r == -EFBIG || listing == -EFBIG)
		log_debug("survey: folder is too large to be refreshed ino=%" PRIu64, ino);
	if (r && r != -EAGAIN && r != -ENOENT && r != -EFBIG)
		log_error("survey: cannot refresh a folder ino=%" PRIu64 " error=%s", ino, strerror(-r));
	return r == -ENOENT ? r : 0;
}

int survey_relist(struct survey *s, uint64_t ino, struct survey_changes *out)
{
	struct survey_changes sums = {0};
	int64_t now = clock_ms();
	int listing = 0, r = survey_stopping(s) ? -ECANCELED : refresh(s, ino, &sums, &listing);

	if (r == -EAGAIN && !listing && !survey_is_complete(s, ino))
		return survey_folder_once(s, ino);
	if (!r && !listing)
		survey_time_set(s, ino, now);
	out->added += sums.added;
	out->removed += sums.removed;
	out->replaced += sums.replaced;
	return r ? r : listing;
}
