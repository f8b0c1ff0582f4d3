/* One key: what index and bucket say of it, and whether that fits.
 *
 * A second look is index, bucket, index. If the index says the same before and after, and has no wish for the key, then the
 * bucket should have been so in between: everything that this mount sends is wished for in a transaction before it is sent,
 * and the wish goes in the one that records the effect. Else it was being changed, and it is looked at again. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "check_internal.h"

enum { TRIES = 5, CLOCKS_NS = 2000000000 };

/* -- the index -- */

struct link_wanted {
	uint64_t parent;
	const char *name;
	bool found;
};

static int find_link(void *arg, uint64_t parent, const char *name)
{
	struct link_wanted *w = arg;

	w->found |= parent == w->parent && !strcmp(name, w->name);
	return w->found;
}

static int look_at_file(struct txn *txn, uint64_t parent, const struct name *name, struct check_facts *out)
{
	struct link_wanted w = { .parent = parent, .name = name->text };
	int r = nodes_get(txn, name->ino, &out->node);

	if (r)
		return r == -ENOENT ? -EUCLEAN : r;
	out->known = true;
	out->primary = out->node.parent == parent && !strcmp(out->node.name, name->text);
	if (out->primary)
		return 0;
	r = links_each(txn, name->ino, find_link, &w);
	return r < 0 ? r : w.found ? 0 : -EUCLEAN;
}

static int enter(struct txn *txn, uint64_t ino, struct check_facts *out)
{
	struct node_record folder;
	int r = nodes_get(txn, ino, &folder);

	if (r)
		return r == -ENOENT ? -EUCLEAN : r;
	out->parent = ino;
	out->complete = folder.flags & NODE_COMPLETE;
	return S_ISDIR(folder.mode) ? 0 : -EUCLEAN;
}

static int resolve(struct txn *txn, const char *key, struct check_facts *out)
{
	char text[NAME_BYTES_MAX + 1];
	struct name name;
	const char *at = key;
	int r = enter(txn, INO_ROOT, out);

	while (!r) {
		const char *slash = strchr(at, '/');
		size_t length = slash ? (size_t)(slash - at) : strlen(at);
		memcpy(text, at, length);
		text[length] = '\0';
		r = names_get(txn, out->parent, text, &name);
		if (r == -ENOENT) {
			out->unknown_bytes = (size_t)(at - key) + length + (slash != NULL);
			return 0;
		}
		if (r)
			return r;
		if (!slash && name.folder) {
			out->folder = true;
			return 0;
		}
		if (!slash)
			return look_at_file(txn, out->parent, &name, out);
		if (!name.folder) { /* a file is where the key has a folder: nothing below it can be shown */
			out->folder = true;
			return 0;
		}
		r = enter(txn, name.ino, out);
		at = slash + 1;
	}
	return r;
}

/* -EUCLEAN: a name leads to nothing. */
int check_look(struct cache *cache, const char *key, struct check_facts *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_read(cache->flow.index, &txn);

	memset(out, 0, sizeof(*out));
	if (!r)
		r = resolve(txn, key, out);
	if (r)
		return r;
	r = pending_get(txn, key, &out->wish);
	out->wished = r == 0;
	return r == -ENOENT ? 0 : r;
}

bool check_same(const struct check_facts *a, const struct check_facts *b)
{
	if (a->known != b->known || a->folder != b->folder || a->complete != b->complete || a->wished != b->wished)
		return false;
	if (a->wished && (a->wish.txn != b->wish.txn || a->wish.want != b->wish.want))
		return false;
	return !a->known ||
	       (a->node.ino == b->node.ino && a->node.version == b->node.version && a->node.content == b->node.content &&
		a->node.size == b->node.size && a->primary == b->primary && !strcmp(a->node.etag, b->node.etag) &&
		!strcmp(a->node.home, b->node.home));
}

/* -- does it fit? -- */

static enum check_code judge_object(const struct check_facts *facts, const struct object *object)
{
	const struct node_record *node = &facts->node;
	bool etags = facts->primary && node->etag[0] && object->etag[0] && strcmp(node->etag, object->etag) != 0;

	if (!etags && node->size == object->size_bytes)
		return CHECK_NONE;
	if (!facts->primary)
		return CHECK_COPY_GONE;
	/* A file's time is set by whoever likes, but backwards (cp -p), so an object stored before it is an older content. */
	if (node->content == CONTENT_CLEAN && object->mtime_ns && object->mtime_ns + CLOCKS_NS < node->mtime_ns)
		return CHECK_OUTDATED;
	return CHECK_REPLACED;
}

enum check_code check_judge(const struct check_facts *facts, const struct object *object)
{
	const struct node_record *node = &facts->node;

	if (facts->wished)
		return CHECK_NONE; /* check_wishes */
	if (!facts->known) {
		if (!object)
			return CHECK_NONE;
		return facts->folder ? CHECK_SHADOWED : facts->complete ? CHECK_UNKNOWN : CHECK_NONE;
	}
	if (node->content == CONTENT_DIRTY || (facts->primary && node->home[0]))
		return CHECK_NOT_WANTED;
	if (object)
		return judge_object(facts, object);
	if (!facts->primary)
		return CHECK_COPY_GONE;
	return node->content == CONTENT_CLEAN || node->size == 0 ? CHECK_GONE : CHECK_LOST;
}

/* -- again -- */

/* What is below an unknown folder is told once, as the folder. */
static int tell(struct check *c, const char *key, const struct check_facts *facts, const struct object *object)
{
	struct check_case k = { .code = check_judge(facts, object),
				.key = key,
				.ino = facts->known ? facts->node.ino : 0,
				.blob = facts->known ? facts->node.blob : 0,
				.size = object ? object->size_bytes : facts->node.size,
				.detail = "",
				.facts = facts,
				.object = object };

	if (k.code == CHECK_NONE)
		return 0;
	if (k.code != CHECK_UNKNOWN || facts->unknown_bytes == strlen(key))
		return check_found(c, &k);
	memcpy(c->folder, key, facts->unknown_bytes);
	c->folder[facts->unknown_bytes] = '\0';
	k.detail = "with all that is in its folder";
	return check_found(c, &k);
}

static int look_once(struct check *c, const char *key, bool *done)
{
	struct check_facts before, after;
	struct object object;
	int r = check_look(c->cache, key, &before);

	*done = true;
	if (r)
		return r == -EUCLEAN ? 0 : r; /* the walk tells it */
	if (before.wished) {
		c->sums->pending++;
		return 0;
	}
	bool here = true;
	r = bucket_head(c->cache->flow.bucket, key, &object);
	if (r == -ENOENT) {
		here = false;
		r = 0;
	}
	if (r) {
		buf_text(c->why, bucket_why());
		return r;
	}
	r = check_look(c->cache, key, &after);
	if (r)
		return r == -EUCLEAN ? 0 : r;
	*done = check_same(&before, &after);
	return *done ? tell(c, key, &after, here ? &object : NULL) : 0;
}

int check_again(struct check *c, const char *key)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	bool done = false;

	for (unsigned i = 0; i < TRIES && !done; i++) {
		if (check_cancelled(c))
			return -ECANCELED;
		if (i)
			nanosleep(&pause, NULL);
		int r = look_once(c, key, &done);
		if (r)
			return r;
	}
	c->sums->changed += !done;
	return 0;
}
