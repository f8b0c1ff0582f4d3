/* One thread, one curl multi handle, many blocked callers.
 *
 *     caller                                  network thread
 *     exchange → curl easy handle
 *     append to locked.waiting, wake curl  →  at most connections_max move to mine.running,
 *     sleep                                   in the order in which they came
 *                                             curl_multi_perform, curl_multi_poll (epoll)
 *     wake up, free the easy handle        ←  retire: result, done
 *
 * A transfer lives on its caller's stack. It belongs to the network thread from the moment it is
 * in a list until `done` is set under the lock, and is not touched afterwards.
 *
 * How long anything can take: the connection is curl's own timer; idle and deadline are ours and
 * are looked at in every turn of the loop (at most TURN_MS apart), since curl knows low speed only
 * in whole seconds and averages. A hanging getaddrinfo cannot hold up the loop: CURLOPT_QUICK_EXIT
 * detaches curl's resolver thread, which frees itself, where the default would join it. */
#include "http.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "http_transfer.h"

enum { TURN_MS = 1000 };

struct http {
	/* fixed at birth */
	struct transfer_config config;
	int connections_max;
	CURLM *multi; /* only the thread's, but for curl_multi_wakeup */
	pthread_t thread;

	struct lock lock;
	struct {
		struct list waiting;
		bool running, stopping;
		uint64_t connections;
	} locked;

	struct { /* the network thread's */
		struct list running;
		int count;
	} mine;
};

/* -- the network thread -- */

static void retire(struct http *h, struct transfer *t, int result)
{
	long connects = 0;

	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	list_remove(&t->link);
	t->result = result;
	lock_take(&h->lock);
	h->locked.connections += (uint64_t)connects;
	t->done = true;
	wakeup_one(&t->wakeup);
	lock_drop(&h->lock);
}

static void retire_running(struct http *h, struct transfer *t, int result)
{
	curl_multi_remove_handle(h->multi, t->easy);
	h->mine.count--;
	retire(h, t, result);
}

/* Lets those who wait onto the wire; false = stop. */
static bool admit(struct http *h)
{
	struct list fresh;
	bool stopping;

	list_init(&fresh);
	lock_take(&h->lock);
	stopping = h->locked.stopping;
	for (int n = h->mine.count; n < h->connections_max && !stopping; n++) {
		struct list *l = list_shift(&h->locked.waiting);
		if (!l)
			break;
		list_append(&fresh, l);
	}
	lock_drop(&h->lock);

	for (struct list *l; (l = list_shift(&fresh));) {
		struct transfer *t = container_of(l, struct transfer, link);

		t->moved_ms = clock_ms();
		if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
			retire(h, t, -ENOMEM);
			continue;
		}
		list_append(&h->mine.running, l);
		h->mine.count++;
	}
	return !stopping;
}

static void retire_finished(struct http *h)
{
	struct CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		CURLcode code = m->data.result;
		char *private = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		struct transfer *t = (struct transfer *)(void *)private;
		retire_running(h, t, transfer_result(t, code));
	}
}

/* 0, or the error of a time that is over; lowers *next_ms to when to look again. */
static int overdue(struct transfer *t, int64_t now, int64_t *next_ms)
{
	const struct exchange *x = t->x;
	int64_t idle_end = x->idle_timeout_ms > 0 ? t->moved_ms + x->idle_timeout_ms : INT64_MAX;
	int64_t end = x->deadline_ms > 0 ? x->deadline_ms : INT64_MAX;

	if (now >= end)
		return transfer_fail(t, -ETIMEDOUT, "not finished in time");
	if (t->moved_ms && now >= idle_end)
		return transfer_fail(t, -ETIMEDOUT, "the server fell silent");
	if (end < *next_ms)
		*next_ms = end;
	if (t->moved_ms && idle_end < *next_ms)
		*next_ms = idle_end;
	return 0;
}

/* Ends what is overdue, also among those still waiting; returns when to look again. */
static int64_t retire_overdue(struct http *h)
{
	int64_t now = clock_ms(), next_ms = now + TURN_MS;
	struct list late;

	for (struct list *l = h->mine.running.next, *next; l != &h->mine.running; l = next) {
		struct transfer *t = container_of(l, struct transfer, link);

		next = l->next;
		if (overdue(t, now, &next_ms))
			retire_running(h, t, t->error);
	}
	list_init(&late);
	lock_take(&h->lock);
	for (struct list *l = h->locked.waiting.next, *next; l != &h->locked.waiting; l = next) {
		struct transfer *t = container_of(l, struct transfer, link);

		next = l->next;
		if (overdue(t, now, &next_ms)) {
			list_remove(l);
			list_append(&late, l);
		}
	}
	lock_drop(&h->lock);
	for (struct list *l; (l = list_shift(&late));) {
		struct transfer *t = container_of(l, struct transfer, link);
		retire(h, t, t->error);
	}
	return next_ms;
}

static void retire_all(struct http *h)
{
	struct list waiting;

	for (struct list *l; (l = h->mine.running.next) != &h->mine.running;)
		retire_running(h, container_of(l, struct transfer, link), -ECANCELED);
	list_init(&waiting);
	lock_take(&h->lock);
	list_splice(&waiting, &h->locked.waiting);
	lock_drop(&h->lock);
	for (struct list *l; (l = list_shift(&waiting));)
		retire(h, container_of(l, struct transfer, link), -ECANCELED);
}

static void *network_thread(void *arg)
{
	struct http *h = arg;
	int running;

	while (admit(h)) {
		curl_multi_perform(h->multi, &running);
		retire_finished(h);
		int64_t wait_ms = retire_overdue(h) - clock_ms();
		lock_take(&h->lock);
		if (!list_empty(&h->locked.waiting) && h->mine.count < h->connections_max)
			wait_ms = 0;
		lock_drop(&h->lock);
		if (wait_ms > 0)
			curl_multi_poll(h->multi, NULL, 0, (int)wait_ms, NULL);
	}
	retire_all(h);
	return NULL;
}

/* -- the callers' side -- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
	global_result = curl_global_init(CURL_GLOBAL_ALL);
}

int http_open(int connections_max, const char *user_agent, struct http **out)
{
	const char *ca_file = getenv("AWS_CA_BUNDLE"); /* as all S3 clients know it */
	struct http *h = calloc(1, sizeof(*h));

	pthread_once(&global_once, global_init);
	if (!h || global_result != CURLE_OK) {
		free(h);
		return -ENOMEM;
	}
	h->connections_max = connections_max > 0 ? connections_max : 16;
	h->config.user_agent = strdup(user_agent && *user_agent ? user_agent : "tootfs");
	h->config.ca_file = ca_file && *ca_file ? strdup(ca_file) : NULL;
	lock_init(&h->lock);
	list_init(&h->locked.waiting);
	list_init(&h->mine.running);
	*out = h;
	if (!h->config.user_agent || (ca_file && *ca_file && !h->config.ca_file)) {
		http_close(out);
		return -ENOMEM;
	}
	return 0;
}

int http_start(struct http *h)
{
	int r;

	assert(!h->multi);
	h->multi = curl_multi_init();
	if (!h->multi)
		return -ENOMEM;
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->connections_max);
	lock_take(&h->lock);
	h->locked.running = true;
	lock_drop(&h->lock);
	r = thread_start(&h->thread, "tootfs-http", network_thread, h);
	if (r) {
		lock_take(&h->lock);
		h->locked.running = false;
		lock_drop(&h->lock);
	}
	return r;
}

void http_stop(struct http *h)
{
	bool join;

	lock_take(&h->lock);
	join = h->locked.running && !h->locked.stopping;
	h->locked.stopping = true;
	lock_drop(&h->lock);
	if (!join)
		return;
	curl_multi_wakeup(h->multi);
	pthread_join(h->thread, NULL);
}

void http_close(struct http **out)
{
	struct http *h = *out;

	*out = NULL;
	if (!h)
		return;
	http_stop(h);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	lock_destroy(&h->lock);
	free(h->config.user_agent);
	free(h->config.ca_file);
	free(h);
}

int http_run(struct http *h, struct exchange *x)
{
	struct transfer t;
	bool running;
	int r;

	assert(!x->status && !x->reply_count);
	assert(x->fd >= 0 || x->body || x->length == 0);
	x->transport_error[0] = '\0';
	x->transport_final = false;
	r = transfer_init(&h->config, x, &t);
	if (r) {
		transfer_destroy(&t);
		return r;
	}
	wakeup_init(&t.wakeup);
	lock_take(&h->lock);
	running = h->locked.running && !h->locked.stopping;
	if (running) {
		list_append(&h->locked.waiting, &t.link);
		curl_multi_wakeup(h->multi);
		while (!t.done)
			wakeup_wait(&t.wakeup, &h->lock);
	}
	lock_drop(&h->lock);
	wakeup_destroy(&t.wakeup);
	transfer_destroy(&t);
	return running ? t.result : -ECANCELED;
}

uint64_t http_connections(struct http *h)
{
	lock_take(&h->lock);
	uint64_t n = h->locked.connections;
	lock_drop(&h->lock);
	return n;
}
