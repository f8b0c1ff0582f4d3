/* A stream: lines on their way from a thread that works to a connection that delivers them.
 *
 *     worker   control_line … control_line   end line, ended            leaves
 *                    |  queue, 64 KiB: the worker waits while it is full
 *     answer         v  control_stream_read: bytes, or an empty line a second, or the end      gone, leaves
 *
 * Three hold it, the worker, the request and its answer; the last one frees it. It is cancelled when the answer is gone, when the client has
 * closed its end (looked at in control_cancelled, since while nothing is sent nobody else would see it), and when the
 * daemon ends; in the last case the end line is still delivered.
 *
 * The threads stand in slots, so that each is joined: by who takes its slot next, or at the stop. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "control_internal.h"

enum { BEAT_MS = 1000, DELIVER_MS = 2000 };

struct control_stream {
	/* fixed */
	struct control_streams *streams;
	const struct control_verb *verb;
	json_t *options;
	struct control_slot *slot;

	struct lock lock;
	struct wakeup wake;
	struct {
		struct buf queue;
		size_t taken; /* bytes of the queue */
		bool ended, cancelled;
		int fd; /* -1 = the answer is gone */
		unsigned holders;
	} locked;
	struct { /* the worker's */
		struct buf message;
		json_t *totals;
	} mine;
};

/* -- lines -- */

static size_t waiting_locked(const struct control_stream *s) REQUIRES(&s->lock);
static size_t waiting_locked(const struct control_stream *s)
{
	return s->locked.queue.length - s->locked.taken;
}

static void append_locked(struct control_stream *s, const char *line) REQUIRES(&s->lock);
static void append_locked(struct control_stream *s, const char *line)
{
	if (s->locked.taken == s->locked.queue.length) {
		buf_clear(&s->locked.queue);
		s->locked.taken = 0;
	} else if (s->locked.taken > CONTROL_QUEUE_MAX) {
		s->locked.queue.length -= s->locked.taken;
		memmove(s->locked.queue.data, s->locked.queue.data + s->locked.taken, s->locked.queue.length);
		s->locked.taken = 0;
	}
	buf_text(&s->locked.queue, line);
	buf_text(&s->locked.queue, "\n");
	s->locked.cancelled |= s->locked.queue.failed;
	wakeup_all(&s->wake);
}

/* last: it is delivered also where the work was cancelled, as long as somebody is there. */
static void say_line(struct control_stream *s, const char *kind, json_t *object, bool last)
{
	json_t *line = object ? json_pack("{so}", kind, object) : NULL;
	AUTO_FREE char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	lock_take(&s->lock);
	while (!last && !s->locked.cancelled && waiting_locked(s) > CONTROL_QUEUE_MAX)
		wakeup_wait(&s->wake, &s->lock);
	if (!text)
		s->locked.cancelled = true; /* no memory: better broken off than told wrongly */
	else if (last || !s->locked.cancelled)
		append_locked(s, text);
	s->locked.ended |= last;
	wakeup_all(&s->wake);
	lock_drop(&s->lock);
}

void control_line(struct control_stream *s, const char *kind, json_t *object)
{
	say_line(s, kind, object, false);
}

bool control_cancelled(void *stream)
{
	struct control_stream *s = stream;
	bool cancelled;

	lock_take(&s->lock);
	if (!s->locked.cancelled && s->locked.fd >= 0) {
		struct pollfd client = {.fd = s->locked.fd};
		s->locked.cancelled = poll(&client, 1, 0) > 0 && (client.revents & (POLLHUP | POLLERR));
	}
	cancelled = s->locked.cancelled;
	lock_drop(&s->lock);
	return cancelled;
}

void control_say(struct control_stream *s, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	buf_clear(&s->mine.message);
	buf_text(&s->mine.message, text ? text : "out of memory");
}

void control_total(struct control_stream *s, const char *name, json_t *value)
{
	if (json_object_set_new(s->mine.totals, name, value))
		log_debug("control: no memory for %s", name);
}

/* -- its life -- */

static void stream_free(struct control_stream *s)
{
	json_decref(s->options);
	json_decref(s->mine.totals);
	buf_destroy(&s->mine.message);
	buf_destroy(&s->locked.queue);
	wakeup_destroy(&s->wake);
	lock_destroy(&s->lock);
	free(s);
}

static void let_go(struct control_stream *s)
{
	bool last;

	lock_take(&s->lock);
	last = --s->locked.holders == 0;
	lock_drop(&s->lock);
	if (last)
		stream_free(s);
}

static void cancel(struct control_stream *s)
{
	lock_take(&s->lock);
	s->locked.cancelled = true;
	wakeup_all(&s->wake);
	lock_drop(&s->lock);
}

static void say_end(struct control_stream *s, int r)
{
	json_t *end = s->mine.totals, *message;
	bool said = s->mine.message.length;

	s->mine.totals = NULL;
	message = control_text(said ? buf_string(&s->mine.message) : r ? strerror(-r) : "");
	if (json_object_set_new(end, "error", json_integer(-r)) ||
	    json_object_set_new(end, "message", message)) {
		json_decref(end);
		end = NULL;
	}
	say_line(s, "end", end, true);
}

static void *run(void *arg)
{
	struct control_stream *s = arg;
	struct control_streams *streams = s->streams;
	struct control_slot *slot = s->slot;
	int r = s->verb->work(streams->cache, s->options, s);

	log_debug("control: %s ended result=%d", s->verb->path, r);
	say_end(s, r);
	lock_take(&streams->lock);
	slot->state = SLOT_ENDED;
	slot->stream = NULL;
	wakeup_all(&streams->idle);
	lock_drop(&streams->lock);
	let_go(s);
	return NULL;
}

/* A slot whose thread is over is joined here: it has nothing left to do but to return. */
static struct control_slot *free_slot_locked(struct control_streams *streams) REQUIRES(&streams->lock);
static struct control_slot *free_slot_locked(struct control_streams *streams)
{
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++) {
		struct control_slot *slot = &streams->locked.slots[i];

		if (slot->state == SLOT_BUSY)
			continue;
		if (slot->state == SLOT_ENDED)
			pthread_join(slot->thread, NULL);
		slot->state = SLOT_FREE;
		return slot;
	}
	return NULL;
}

static int start_locked(struct control_streams *streams, struct control_stream *s) REQUIRES(&streams->lock);
static int start_locked(struct control_streams *streams, struct control_stream *s)
{
	int r;

	if (streams->locked.stopping)
		return -ECANCELED;
	s->slot = free_slot_locked(streams);
	if (!s->slot)
		return -EBUSY;
	r = thread_start(&s->slot->thread, "control", run, s);
	if (r)
		return r;
	s->slot->state = SLOT_BUSY;
	s->slot->stream = s;
	streams->locked.answers++;
	return 0;
}

int control_stream_begin(struct control_streams *streams, const struct control_verb *verb, json_t *options, int fd,
			 struct control_stream **out)
{
	struct control_stream *s = calloc(1, sizeof(*s));
	json_t *totals = json_object();
	int r;

	if (!s || !totals) {
		free(s);
		json_decref(totals);
		json_decref(options);
		return -ENOMEM;
	}
	s->streams = streams;
	s->verb = verb;
	s->options = options;
	s->mine.totals = totals;
	s->locked.fd = fd;
	s->locked.holders = 3;
	lock_init(&s->lock);
	wakeup_init(&s->wake);
	lock_take(&streams->lock);
	r = start_locked(streams, s);
	lock_drop(&streams->lock);
	if (r)
		stream_free(s);
	else
		*out = s;
	return r;
}

ssize_t control_stream_read(struct control_stream *s, char *out, size_t space)
{
	int64_t until_ms = clock_ms() + BEAT_MS;
	size_t n;

	lock_take(&s->lock);
	while (!waiting_locked(s) && !s->locked.ended && wakeup_wait_until(&s->wake, &s->lock, until_ms))
		;
	n = waiting_locked(s) < space ? waiting_locked(s) : space;
	if (n)
		memcpy(out, s->locked.queue.data + s->locked.taken, n);
	s->locked.taken += n;
	bool over = !n && s->locked.ended;
	wakeup_all(&s->wake);
	lock_drop(&s->lock);
	if (!n && !over) {
		out[0] = '\n';
		return 1;
	}
	return over ? -1 : (ssize_t)n;
}

void control_stream_gone(struct control_stream *s)
{
	struct control_streams *streams = s->streams;

	lock_take(&s->lock);
	s->locked.fd = -1;
	lock_drop(&s->lock);
	cancel(s);
	lock_take(&streams->lock);
	streams->locked.answers--;
	wakeup_all(&streams->idle);
	lock_drop(&streams->lock);
}

void control_stream_leave(struct control_stream *s)
{
	let_go(s);
}

/* -- all of them -- */

void control_streams_init(struct control_streams *streams, struct cache *cache)
{
	memset(streams, 0, sizeof(*streams));
	streams->cache = cache;
	lock_init(&streams->lock);
	wakeup_init(&streams->idle);
}

static bool is_busy_locked(struct control_streams *streams) REQUIRES(&streams->lock);
static bool is_busy_locked(struct control_streams *streams)
{
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++)
		if (streams->locked.slots[i].state == SLOT_BUSY)
			return true;
	return false;
}

void control_streams_stop(struct control_streams *streams)
{
	int64_t until_ms;

	lock_take(&streams->lock);
	streams->locked.stopping = true;
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++)
		if (streams->locked.slots[i].state == SLOT_BUSY)
			cancel(streams->locked.slots[i].stream);
	while (is_busy_locked(streams))
		wakeup_wait(&streams->idle, &streams->lock);
	until_ms = clock_ms() + DELIVER_MS;
	while (streams->locked.answers && wakeup_wait_until(&streams->idle, &streams->lock, until_ms))
		;
	lock_drop(&streams->lock);
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++)
		if (streams->locked.slots[i].state == SLOT_ENDED) {
			pthread_join(streams->locked.slots[i].thread, NULL);
			streams->locked.slots[i].state = SLOT_FREE;
		}
}

void control_streams_destroy(struct control_streams *streams)
{
	wakeup_destroy(&streams->idle);
	lock_destroy(&streams->lock);
}
