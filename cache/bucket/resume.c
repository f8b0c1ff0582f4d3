/* A GET that goes on where the attempt before it ended.
 *
 * The door's own sink stands between the implementation and the user's. It sees to it that
 *   - bytes come once, in order, without a gap, and not more than were asked for;
 *   - all attempts read one version: the first answer's ETag is the If-Match of the next request,
 * and its size and ETag must come again. Without an ETag there is no second request once bytes were
 * taken;
 *   - an error of the user's sink ends the call, whatever the implementation makes of it;
 *   - a call that returns 0 has delivered every byte.
 *
 * The sink may run on the network thread, where the fault of the caller's thread cannot be set:
 * what it finds is kept here and told by resume_attempt. A call that gets on has its deadline
 * moved: what counts is the time without a byte. */
#include "resume.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"

static int wrong(struct resume *r, int error, const char *why)
{
	r->ended = error;
	r->wrong = true;
	snprintf(r->why, sizeof(r->why), "%s", why);
	return error;
}

static bool is_another(const char *wanted, const char *got)
{
	return wanted && wanted[0] && got[0] && strcmp(wanted, got) != 0;
}

static int resume_begin(struct sink *sink, const struct object *object)
{
	struct resume *r = (struct resume *)sink;
	const struct get_request *q = r->asked;

	breaker_alive(&r->bucket->breaker);
	if (is_another(q->etag, object->etag) || is_another(r->etag, object->etag) ||
	    (r->begun && object->size_bytes != r->size))
		return wrong(r, -ESTALE, "the object is another version than expected");
	if (!r->begun) {
		memcpy(r->etag, object->etag, sizeof(r->etag));
		r->size = r->end = object->size_bytes;
		if (q->offset > r->size)
			return wrong(r, -EPROTO, "the object is shorter than expected");
		if (q->length > 0 && q->length < r->size - q->offset)
			r->end = q->offset + q->length;
		r->begun = true;
	}
	r->ended = q->sink->begin(q->sink, object);
	return r->ended;
}

static int resume_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct resume *r = (struct resume *)sink;

	if (!r->begun || offset != r->next || length > r->end - r->next)
		return wrong(r, -EPROTO, "the answer holds other bytes than were asked for");
	r->ended = r->asked->sink->take(r->asked->sink, offset, bytes, length);
	if (r->ended)
		return r->ended;
	r->next += length;
	r->got_on = length > 0;
	door_came(r->bucket, length);
	return 0;
}

void resume_init(struct resume *r, struct bucket *b, const struct get_request *asked)
{
	memset(r, 0, sizeof(*r));
	r->sink = (struct sink){resume_begin, resume_take};
	r->asked = asked;
	r->bucket = b;
	r->next = asked->offset;
}

/* What an attempt that returned x comes to. */
static int judge(struct resume *r, int x)
{
	struct fault *f = fault_of_thread();

	if (r->ended && r->wrong)
		return fault_set(r->ended, false, "%s: %s", r->asked->key, r->why);
	if (r->ended)
		return fault_set(r->ended, false, "the receiver of %s ended the transfer",
				 r->asked->key);
	/* All bytes are there: how the connection ended does not matter. */
	if (r->begun && r->next == r->end && (x == 0 || f->again))
		return 0;
	if (x == 0)
		return fault_set(-EPROTO, true, "%s ended after %" PRIu64 " of %" PRIu64 " bytes",
				 r->asked->key, r->next - r->asked->offset,
				 r->end - r->asked->offset);
	if (f->again && r->next > r->asked->offset && !r->etag[0])
		f->again = false;
	return x;
}

int resume_attempt(struct call *c, void *arg)
{
	struct resume *r = arg;
	struct get_request q = *r->asked;
	int x;

	q.sink = &r->sink;
	if (r->begun) {
		q.offset = r->next;
		q.length = r->asked->length > 0 ? r->end - r->next : 0;
		if (r->etag[0])
			q.etag = r->etag;
	}
	r->got_on = false;
	x = judge(r, r->bucket->impl.ops->get(r->bucket->impl.self, &q));
	if (r->got_on) {
		c->deadline_ms = clock_ms() + r->bucket->io_timeout_ms;
		c->row = 1;
	}
	return x;
}
