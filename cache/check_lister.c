/* A thread asks for the next page while the one before is compared: one page waits at most, so memory is two pages.
 *
 * The words of an error belong to the thread that met it, so they are carried along. */
#include <errno.h>
#include <string.h>
#include "cache/base/lock.h"
#include "check_internal.h"

struct check_lister {
	struct bucket *bucket;
	pthread_t thread;
	struct lock lock;
	struct wakeup wake;
	struct {
		bool full, ended, stop;
		int error;
		struct list_page page;
		struct buf why;
	} locked;
};

/* false: nobody wants more. */
static bool hand_over(struct check_lister *l, struct list_page *page, int error)
{
	lock_take(&l->lock);
	while (l->locked.full && !l->locked.stop)
		wakeup_wait(&l->wake, &l->lock);
	bool stop = l->locked.stop;
	if (!stop && error) {
		l->locked.error = error;
		buf_text(&l->locked.why, bucket_why());
	} else if (!stop) {
		l->locked.page = *page;
		l->locked.full = true;
		l->locked.ended = !page->token;
	}
	wakeup_all(&l->wake);
	lock_drop(&l->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct check_lister *l = arg;
	char *token = NULL;
	bool more = true;

	while (more) {
		struct list_request request = { .prefix = "", .token = token };
		struct list_page page;
		int error = bucket_list(l->bucket, &request, &page);
		free(token);
		token = !error && page.token ? strdup(page.token) : NULL;
		if (!error && page.token && !token) {
			list_page_destroy(&page);
			error = -ENOMEM;
		}
		more = hand_over(l, &page, error);
		if (!error && !more)
			list_page_destroy(&page);
		more = more && token;
	}
	free(token);
	return NULL;
}

int check_lister_open(struct bucket *bucket, struct check_lister **out)
{
	struct check_lister *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->bucket = bucket;
	lock_init(&l->lock);
	wakeup_init(&l->wake);
	int r = thread_start(&l->thread, "check-list", run, l);
	if (r) {
		wakeup_destroy(&l->wake);
		lock_destroy(&l->lock);
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void check_lister_close(struct check_lister **lister)
{
	struct check_lister *l = *lister;

	*lister = NULL;
	if (!l)
		return;
	lock_take(&l->lock);
	l->locked.stop = true;
	wakeup_all(&l->wake);
	lock_drop(&l->lock);
	pthread_join(l->thread, NULL);
	if (l->locked.full)
		list_page_destroy(&l->locked.page);
	buf_destroy(&l->locked.why);
	wakeup_destroy(&l->wake);
	lock_destroy(&l->lock);
	free(l);
}

int check_lister_next(void *lister, struct list_page *out, struct buf *why)
{
	struct check_lister *l = lister;
	int r = 0;

	lock_take(&l->lock);
	while (!l->locked.full && !l->locked.error && !l->locked.ended)
		wakeup_wait(&l->wake, &l->lock);
	if (l->locked.full) {
		*out = l->locked.page;
		l->locked.full = false;
		wakeup_all(&l->wake);
	} else if (l->locked.error) {
		r = l->locked.error;
		buf_text(why, buf_string(&l->locked.why));
	} else {
		r = 1;
	}
	lock_drop(&l->lock);
	return r;
}

/* -- one by one -- */

static int compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);

	return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int load(struct check_objects *o, struct buf *why)
{
	if (o->loaded)
		list_page_destroy(&o->now);
	o->loaded = false;
	o->at = 0;
	int r = o->page(o->arg, &o->now, why);
	o->loaded = r == 0;
	o->ended = r == 1;
	return r < 0 ? r : 0;
}

int check_objects_next(struct check_objects *o, const struct list_entry **out, struct buf *why)
{
	*out = NULL;
	while (!o->ended) {
		if (!o->loaded || o->at == o->now.count) {
			int r = load(o, why);
			if (r)
				return r;
			continue;
		}
		const struct list_entry *entry = &o->now.entries[o->at++];
		if (entry->folder || entry->key_bytes > KEY_BYTES_MAX)
			continue; /* not asked for; beyond what any path can be */
		if (compare(entry->key, entry->key_bytes, o->last, o->last_bytes) < 0)
			return -EILSEQ;
		memcpy(o->last, entry->key, entry->key_bytes);
		o->last_bytes = entry->key_bytes;
		*out = entry;
		return 0;
	}
	return 0;
}

void check_objects_destroy(struct check_objects *o)
{
	if (o->loaded)
		list_page_destroy(&o->now);
	o->loaded = false;
}
