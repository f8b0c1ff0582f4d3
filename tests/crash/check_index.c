/* The numbered invariants, for every node, of an index that was just recovered and that nobody has changed since:
 *
 *     DIRTY   has a blob with all its bytes, and every name of it a wish of its version
 *     CLEAN   has a blob with all its bytes, and they are those of the object with its ETag
 *     REMOTE  has an object with its ETag and size; what ranges its blob has are those of the object
 *     a blob  is named by one node, which has an age; the sums are those of their parts
 *     a key of the bucket is what a node without a wish says of it, or there is a wish for it, or nobody knows its folder
 *
 * The last is the promise that the bucket never runs ahead of what is durable. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/blob/ranges.h"
#include "cache/flow/evict.h"
#include "cache/flow/want.h"
#include "cache/index/ages.h"
#include "cache/index/names.h"
#include "cache/internal.h"
#include "check.h"

enum { BLOBS_MAX = 4096 };

struct look {
	struct cache *cache;
	struct txn *txn;
	struct verdict *v;
	bool at_end;
	uint64_t parent;
	char path[KEY_BYTES_MAX + 1];
	uint64_t blobs[BLOBS_MAX];
	size_t blobs_count;
	uint64_t files, folders, symlinks, held, pending;
	struct node_record node;
	struct pending_record wish;
};

static bool node_wrong(struct look *l, const char *what)
{
	static const char *const contents[] = {"REMOTE", "CLEAN", "DIRTY"};
	const struct node_record *n = &l->node;
	return wrong(l->v, "%s: %s (ino %llu, %s, version %llu, size %llu, blob %llx, etag \"%s\", home \"%s\")",
		     l->path, what, (unsigned long long)n->ino, contents[n->content], (unsigned long long)n->version,
		     (unsigned long long)n->size, (unsigned long long)n->blob, n->etag, n->home);
}

/* -- blobs -- */

static char *read_blob(struct look *l, uint64_t *length)
{
	struct stat st;
	int fd AUTO_CLOSE = -1;
	if (!l->node.blob) {
		*length = 0;
		return calloc(1, 1);
	}
	if (blob_open(l->cache->flow.blobs, l->node.blob, &fd) || fstat(fd, &st))
		return NULL;
	char *bytes = malloc((size_t)st.st_size + 1);
	*length = (uint64_t)st.st_size;
	if (!bytes || blob_read(fd, 0, bytes, *length)) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

static bool check_present(struct look *l, const char *bytes, uint64_t length, const struct stored_object *o)
{
	struct ranges present;
	bool good = true;
	ranges_init(&present);
	if (ranges_decode(&present, l->node.present, l->node.present_bytes))
		good = node_wrong(l, "its ranges cannot be decoded");
	for (size_t i = 0; good && i < present.count; i++) {
		struct range r = present.items[i];
		if (r.end > length)
			good = node_wrong(l, "its blob is shorter than what should be present");
		else if (r.end > o->whole.length || memcmp(bytes + r.start, (char *)o->whole.at + r.start, r.end - r.start))
			good = node_wrong(l, "bytes that are present are not the object's");
	}
	ranges_destroy(&present);
	return good;
}

static bool check_bytes(struct look *l, const struct stored_object *o)
{
	const struct node_record *n = &l->node;
	uint64_t length;
	char *bytes AUTO_FREE = read_blob(l, &length);
	if (!bytes)
		return node_wrong(l, "its blob is gone");
	if (n->content != CONTENT_REMOTE && length < n->size)
		return node_wrong(l, "its blob is too short");
	if (n->content == CONTENT_CLEAN && o && memcmp(bytes, o->whole.at, n->size))
		return node_wrong(l, "its blob has not the bytes of its object");
	return n->content == CONTENT_REMOTE && n->blob ? check_present(l, bytes, length, o) : true;
}

static bool check_age(struct look *l)
{
	uint64_t stamp, bytes;
	int r = ages_get(l->txn, l->node.ino, &stamp, &bytes);
	if (!l->node.blob)
		return r == -ENOENT ? true : node_wrong(l, "it has an age and no blob");
	if (r)
		return node_wrong(l, "it has a blob and no age");
	if (l->node.content != CONTENT_REMOTE && bytes != space_of(l->node.size))
		return node_wrong(l, "it is accounted for with another size");
	for (size_t i = 0; i < l->blobs_count; i++)
		if (l->blobs[i] == l->node.blob)
			return node_wrong(l, "its blob is another node's too");
	if (l->blobs_count == BLOBS_MAX)
		broken("too many blobs");
	l->blobs[l->blobs_count++] = l->node.blob;
	l->held += bytes;
	return true;
}

/* -- nodes -- */

static bool find_wish(struct look *l, const char *key)
{
	return pending_get(l->txn, key, &l->wish) == 0;
}

/* The object that the node's content is in. */
static bool check_source(struct look *l, const struct stored_object **out)
{
	char key[KEY_BYTES_MAX + 1];
	*out = NULL;
	if (!want_source(l->txn, &l->node, key))
		return l->node.content == CONTENT_CLEAN ? true : node_wrong(l, "its content is nowhere");
	*out = objects_find(&far.objects, key, "");
	if (!*out)
		return node_wrong(l, "the bucket has not the object that its content is in");
	/* a copy onto itself, which renews its headers, may have given it another ETag */
	bool renewed = find_wish(l, key) && l->wish.want == PENDING_PUT && l->wish.attrs_only;
	if ((!renewed && strcmp((*out)->whole.etag, l->node.etag)) || (*out)->whole.length != l->node.size)
		return node_wrong(l, "the object that its content is in is another one");
	return true;
}

static bool check_content(struct look *l)
{
	const struct stored_object *o = NULL;
	if (l->node.flags & NODE_ORPHAN)
		return node_wrong(l, "it has a name and none");
	if (l->node.content != CONTENT_DIRTY && !check_source(l, &o))
		return false;
	return check_age(l) && check_bytes(l, o);
}

static bool check_key(struct look *l, bool primary)
{
	const struct node_record *n = &l->node;
	const struct stored_object *o = objects_find(&far.objects, l->path, "");
	if (find_wish(l, l->path)) {
		if (l->wish.want != PENDING_PUT || l->wish.ino != n->ino || l->wish.version != n->version)
			return node_wrong(l, "the wish for its key is another one");
		return true;
	}
	if (n->content == CONTENT_DIRTY)
		return node_wrong(l, "nobody wishes that it is sent");
	if (!o)
		return node_wrong(l, "the bucket has no such object, and nobody wishes it");
	if (o->whole.length != n->size || (primary && strcmp(o->whole.etag, n->etag)))
		return node_wrong(l, "the bucket has another object, and nobody wishes to change it");
	return true;
}

static int count_link(void *arg, uint64_t parent, const char *name)
{
	(void)parent;
	(void)name;
	++*(unsigned *)arg;
	return 0;
}

static bool check_file(struct look *l, const struct name *name)
{
	unsigned names = 1;
	bool primary = l->node.parent == l->parent && !strcmp(l->node.name, name->text);
	if (primary && links_each(l->txn, l->node.ino, count_link, &names) < 0)
		return node_wrong(l, "its names cannot be read");
	if (primary && names != l->node.nlink)
		return node_wrong(l, "its number of names is another");
	if (primary && S_ISLNK(l->node.mode))
		l->symlinks++;
	else if (primary)
		l->files++;
	return (!primary || check_content(l)) && check_key(l, primary);
}

static int visit_name(void *arg, const struct name *name)
{
	struct look *l = arg;
	size_t length = strlen(l->path);
	uint64_t above = l->parent;
	snprintf(l->path + length, sizeof(l->path) - length, "%s%s", length ? "/" : "", name->text);
	if (nodes_get(l->txn, name->ino, &l->node)) {
		wrong(l->v, "%s: its node %llu is gone", l->path, (unsigned long long)name->ino);
		return 1;
	}
	if (S_ISDIR(l->node.mode) != name->folder) {
		node_wrong(l, "it is a folder for one, and none for the other");
		return 1;
	}
	if (name->folder) {
		l->folders++;
		l->parent = name->ino;
		int r = names_each(l->txn, name->ino, NULL, visit_name, l);
		l->parent = above;
		if (r)
			return r;
	} else if (!check_file(l, name)) {
		return 1;
	}
	l->path[length] = '\0';
	return 0;
}

/* -- keys without a name -- */

/* Its folder, or one above, was never listed: then nobody has said anything of the key. */
static bool is_unknown(struct look *l, const char *key)
{
	uint64_t parent = INO_ROOT;
	struct name name;
	for (const char *slash; (slash = strchr(key, '/')); key = slash + 1) {
		char part[NAME_BYTES_MAX + 1];
		if (nodes_get(l->txn, parent, &l->node) == 0 && !(l->node.flags & NODE_COMPLETE))
			return true;
		snprintf(part, sizeof(part), "%.*s", (int)(slash - key), key);
		if (names_get(l->txn, parent, part, &name))
			return false;
		parent = name.ino;
	}
	return nodes_get(l->txn, parent, &l->node) == 0 && !(l->node.flags & NODE_COMPLETE);
}

static bool has_name(struct look *l, const char *key)
{
	uint64_t parent = INO_ROOT;
	struct name name;
	for (const char *slash; (slash = strchr(key, '/')); key = slash + 1) {
		char part[NAME_BYTES_MAX + 1];
		snprintf(part, sizeof(part), "%.*s", (int)(slash - key), key);
		if (names_get(l->txn, parent, part, &name))
			return false;
		parent = name.ino;
	}
	return names_get(l->txn, parent, key, &name) == 0 && !name.folder;
}

static bool check_objects(struct look *l)
{
	for (const struct stored_object *o = far.objects.first; o; o = o->next)
		if (!o->id[0] && !has_name(l, o->key) && !find_wish(l, o->key) && !is_unknown(l, o->key))
			return wrong(l->v, "%s: an object that nobody explains: the bucket is ahead of the index", o->key);
	return true;
}

static bool check_wishes(struct look *l)
{
	l->wish.key[0] = '\0';
	while (pending_next(l->txn, l->wish.key, &l->wish) == 0) {
		l->pending++;
		if ((l->wish.want == PENDING_PUT) != has_name(l, l->wish.key))
			return wrong(l->v, "%s: a wish that does not fit to the names", l->wish.key);
	}
	return true;
}

/* -- the whole -- */

static int visit_blob(void *arg, uint64_t id, uint64_t bytes)
{
	struct look *l = arg;
	(void)bytes;
	for (size_t i = 0; i < l->blobs_count; i++)
		if (l->blobs[i] == id)
			return 0;
	wrong(l->v, "blob %llx is named by no node, and still there", (unsigned long long)id);
	return 1;
}

/* Until the sweep comes to it, it counts like any other. */
static int visit_orphan(void *arg, uint64_t ino)
{
	struct look *l = arg;
	if (l->at_end || nodes_get(l->txn, ino, &l->node)) {
		wrong(l->v, "node %llu has no name, and still is there", (unsigned long long)ino);
		return 1;
	}
	l->files++;
	return !check_age(l);
}

static bool check_sums(struct look *l)
{
	struct index_totals t;
	uint64_t held;
	if (index_totals(l->txn, &t) || ages_total(l->txn, &held))
		return wrong(l->v, "the sums cannot be read");
	if (t.files != l->files || t.folders != l->folders || t.symlinks != l->symlinks)
		return wrong(l->v, "%llu files, %llu folders and %llu symlinks are counted as %llu, %llu and %llu",
			     (unsigned long long)l->files, (unsigned long long)l->folders,
			     (unsigned long long)l->symlinks, (unsigned long long)t.files,
			     (unsigned long long)t.folders, (unsigned long long)t.symlinks);
	if (t.pending != l->pending)
		return wrong(l->v, "%llu wishes are counted as %llu", (unsigned long long)l->pending,
			     (unsigned long long)t.pending);
	if (held != l->held)
		return wrong(l->v, "%llu bytes of blobs are counted as %llu", (unsigned long long)l->held,
			     (unsigned long long)held);
	return true;
}

static bool check_all(struct look *l)
{
	l->folders = 1; /* the root has no name */
	if (names_each(l->txn, INO_ROOT, NULL, visit_name, l))
		return l->v->why[0] ? false : wrong(l->v, "%s: the names cannot be read", l->path);
	if (!check_wishes(l) || !check_objects(l))
		return false;
	if (orphans_each(l->txn, visit_orphan, l) ||
	    (l->at_end && blobs_each(l->cache->flow.blobs, visit_blob, l)))
		return l->v->why[0] ? false : wrong(l->v, "the blobs cannot be listed");
	return check_sums(l);
}

bool check_index(struct cache *cache, bool at_end, struct verdict *v)
{
	static struct look l;
	memset(&l, 0, sizeof(l));
	l.at_end = at_end;
	l.cache = cache;
	l.v = v;
	l.parent = INO_ROOT;
	if (txn_begin_read(cache->flow.index, &l.txn))
		return wrong(v, "the index cannot be read");
	bool good = check_all(&l);
	txn_abort(&l.txn);
	return good;
}
