/* --headers: a HEAD for every object that is as the index says, several at a time.
 *
 *     check thread   queue of keys  →  workers, one HEAD each  →  what is not as it would be sent  →  check thread tells
 *
 * Both queues are short, so memory does not grow; findings are told and mended on the check's thread. */
#include <errno.h>
#include <string.h>
#include "cache/base/lock.h"
#include "check_internal.h"

enum { WORKERS = 16, QUEUE = 64, UNFIT = QUEUE + WORKERS };

struct asked {
	char key[KEY_BYTES_MAX + 1];
	uint64_t ino;
	char etag[NODE_ETAG_BYTES];
	unsigned unfit;
};

struct check_headers {
	struct bucket *bucket;
	pthread_t threads[WORKERS];
	unsigned started;
	struct lock lock;
	struct wakeup wake;
	struct {
		struct asked queue[QUEUE], unfit[UNFIT];
		size_t queued, found, busy;
		int error;
		bool stop;
	} locked;
};

static void ask(struct check_headers *h, struct asked *a) REQUIRES(&h->lock);
static void ask(struct check_headers *h, struct asked *a)
{
	struct object object;

	*a = h->locked.queue[--h->locked.queued];
	h->locked.busy++;
	lock_drop(&h->lock);
	int r = bucket_head(h->bucket, a->key, &object);
	lock_take(&h->lock);
	h->locked.busy--;
	if (r && r != -ENOENT) {
		h->locked.error = r;
	} else if (!r && object.unfit && (!a->etag[0] || !strcmp(a->etag, object.etag))) {
		a->unfit = object.unfit;
		h->locked.unfit[h->locked.found++] = *a;
	}
	wakeup_all(&h->wake);
}

static void *run(void *arg)
{
	struct check_headers *h = arg;
	struct asked a;

	lock_take(&h->lock);
	while (!h->locked.stop) {
		/* each of us must find room for what it may find */
		if (h->locked.queued && h->locked.found + h->locked.busy < UNFIT)
			ask(h, &a);
		else
			wakeup_wait(&h->wake, &h->lock);
	}
	lock_drop(&h->lock);
	return NULL;
}

int check_headers_open(struct bucket *bucket, struct check_headers **out)
{
	struct check_headers *h = calloc(1, sizeof(*h));
	int r = 0;

	if (!h)
		return -ENOMEM;
	h->bucket = bucket;
	lock_init(&h->lock);
	wakeup_init(&h->wake);
	while (!r && h->started < WORKERS) {
		r = thread_start(&h->threads[h->started], "check-head", run, h);
		h->started += !r;
	}
	if (r)
		check_headers_close(&h);
	*out = h;
	return r;
}

void check_headers_close(struct check_headers **headers)
{
	struct check_headers *h = *headers;

	*headers = NULL;
	if (!h)
		return;
	lock_take(&h->lock);
	h->locked.stop = true;
	wakeup_all(&h->wake);
	lock_drop(&h->lock);
	for (unsigned i = 0; i < h->started; i++)
		pthread_join(h->threads[i], NULL);
	wakeup_destroy(&h->wake);
	lock_destroy(&h->lock);
	free(h);
}

static int tell(struct check *c, const struct asked *a)
{
	struct check_facts facts;
	int r = check_look(c->cache, a->key, &facts);

	if (r || !facts.known || facts.wished || facts.node.ino != a->ino || strcmp(facts.node.etag, a->etag) != 0)
		return r == -EUCLEAN ? 0 : r;
	const struct check_case k = { .code = CHECK_HEADERS,
				      .key = a->key,
				      .ino = a->ino,
				      .size = facts.node.size,
				      .detail = a->unfit == OBJECT_CONTENT_TYPE	   ? "Content-Type"
						: a->unfit == OBJECT_CACHE_CONTROL ? "Cache-Control"
										   : "Content-Type, Cache-Control",
				      .facts = &facts };
	return check_found(c, &k);
}

/* Tells what was found; waits until the queue has room, or (all) is empty. */
static int take_found(struct check *c, struct check_headers *h, bool all)
{
	struct asked a;
	int r = 0;

	lock_take(&h->lock);
	while (!r) {
		if (h->locked.found) {
			a = h->locked.unfit[--h->locked.found];
			wakeup_all(&h->wake);
			lock_drop(&h->lock);
			r = tell(c, &a);
			lock_take(&h->lock);
		} else if (h->locked.error) {
			r = h->locked.error;
		} else if (all ? h->locked.queued || h->locked.busy : h->locked.queued == QUEUE) {
			wakeup_wait(&h->wake, &h->lock);
		} else {
			break;
		}
	}
	lock_drop(&h->lock);
	return r;
}

int check_header(struct check *c, const struct check_file *file)
{
	struct check_headers *h = c->headers;
	int r = take_found(c, h, false);

	if (r || !file->primary)
		return r;
	lock_take(&h->lock);
	struct asked *a = &h->locked.queue[h->locked.queued++];
	strcpy(a->key, file->key);
	a->ino = file->ino;
	memcpy(a->etag, file->etag, sizeof(a->etag));
	wakeup_all(&h->wake);
	lock_drop(&h->lock);
	return 0;
}

int check_headers_end(struct check *c)
{
	return take_found(c, c->headers, true);
}
