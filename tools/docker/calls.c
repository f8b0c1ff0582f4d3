/* Each answer has the member Err, "" when all is well, and what the call asked for beside it. */
#include "calls.h"

#include <errno.h>
#include <string.h>
#include "cache/base/log.h"
#include "request.h"

enum { HTTP_OK = 200, HTTP_FAILED = 500 };

static void finish(struct buf *answer, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	buf_text(answer, text ? text : "{\"Err\":\"out of memory\"}");
	free(text);
	json_decref(object);
}

/* Texts may hold bytes of a bucket's or a path's name, which need not be UTF-8. */
void calls_refuse(struct buf *answer, const char *text)
{
	json_t *said = json_string(text);
	AUTO_FREE char *plain = said ? NULL : strdup(text);

	for (char *c = plain; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	if (!said)
		said = json_string(plain ? plain : "out of memory");
	finish(answer, json_pack("{so}", "Err", said));
}

static int answer_mount(struct volumes *v, const struct request *r, json_t **out, struct calls_undo *undo, struct buf *why)
{
	AUTO_BUF struct buf mountpoint = BUF_EMPTY;
	int error = volumes_mount(v, r->name, r->id, &mountpoint, why);

	if (error)
		return error;
	undo->name = strdup(r->name);
	undo->id = strdup(r->id);
	*out = json_pack("{ss ss}", "Mountpoint", buf_string(&mountpoint), "Err", "");
	return 0;
}

static int answer_volume(struct volumes *v, const struct request *r, json_t **out, struct buf *why)
{
	json_t *volume;
	int error = volumes_get(v, r->name, &volume, why);

	if (error)
		return error;
	if (r->call == REQUEST_PATH)
		*out = json_pack("{sO ss}", "Mountpoint", json_object_get(volume, "Mountpoint"), "Err", "");
	else
		*out = json_pack("{sO ss}", "Volume", volume, "Err", "");
	json_decref(volume);
	return 0;
}

static int answer_list(struct volumes *v, json_t **out)
{
	json_t *all;
	int error = volumes_list(v, &all);

	if (!error)
		*out = json_pack("{so ss}", "Volumes", all, "Err", "");
	return error;
}

static int answer_request(struct volumes *v, const struct request *r, json_t **out, struct calls_undo *undo, struct buf *why)
{
	int error = 0;

	switch (r->call) {
	case REQUEST_ACTIVATE:
		*out = json_pack("{s[s]}", "Implements", "VolumeDriver");
		return 0;
	case REQUEST_CAPABILITIES:
		*out = json_pack("{s{ss}}", "Capabilities", "Scope", "local");
		return 0;
	case REQUEST_LIST:
		return answer_list(v, out);
	case REQUEST_GET:
	case REQUEST_PATH:
		return answer_volume(v, r, out, why);
	case REQUEST_MOUNT:
		return answer_mount(v, r, out, undo, why);
	case REQUEST_CREATE:
		error = volumes_create(v, r->name, r->options, why);
		break;
	case REQUEST_REMOVE:
		error = volumes_remove(v, r->name, why);
		break;
	case REQUEST_UNMOUNT:
		error = volumes_unmount(v, r->name, r->id, why);
		break;
	}
	if (!error)
		*out = json_pack("{ss}", "Err", "");
	return error;
}

unsigned calls_answer(struct volumes *v, const char *path, const struct buf *body, struct buf *answer, struct calls_undo *undo)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	enum request_call call;
	struct request request;
	json_t *out = NULL;
	int error;

	if (!request_find(path, &call)) {
		calls_refuse(answer, "there is no such call");
		return 404;
	}
	error = request_parse(&request, call, buf_string(body), body->length, &why);
	if (!error)
		error = answer_request(v, &request, &out, undo, &why);
	if (error)
		calls_refuse(answer, why.length ? buf_string(&why) : strerror(-error));
	else
		finish(answer, out);
	log_debug("call: %s name=%s id=%s error=%s", path, request.name ? request.name : "-", request.id ? request.id : "-",
		  error ? buf_string(&why) : "-");
	request_destroy(&request);
	return error ? HTTP_FAILED : HTTP_OK;
}

void calls_undo(struct volumes *v, struct calls_undo *undo)
{
	AUTO_BUF struct buf why = BUF_EMPTY;

	if (!undo->name || !undo->id)
		return;
	log_warn("call: nobody waited for the mount any more; it is undone name=%s", undo->name);
	if (volumes_unmount(v, undo->name, undo->id, &why))
		log_warn("call: the mount stays counted name=%s error=%s", undo->name, buf_string(&why));
}

void calls_undo_destroy(struct calls_undo *undo)
{
	free(undo->name);
	free(undo->id);
	*undo = (struct calls_undo){.name = NULL};
}
