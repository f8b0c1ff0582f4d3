/* tootfsctl metrics, tootfsctl log-level: one call, nothing to tell but its answer. */
#include <stdio.h>
#include <string.h>
#include "commands.h"

static int call(const char *path, const struct client_request *request, struct buf *out)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct client_place place;
	int status = find_place(path, &place);

	if (status)
		return status;
	if (client_call(&place, request, out, &why)) {
		complain("%s", buf_string(&why));
		status = CTL_FAILED;
	}
	client_place_destroy(&place);
	return status;
}

int command_metrics(int argc, char **argv)
{
	const struct client_request request = {"GET", "/metrics", NULL};
	AUTO_BUF struct buf text = BUF_EMPTY;
	int status;

	if (argc != 2)
		return complain_usage(argv[0], "one path is needed");
	status = call(argv[1], &request, &text);
	if (!status)
		fputs(buf_string(&text), stdout);
	return status;
}

int command_log_level(int argc, char **argv)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	struct client_request request = {"PUT", "/log-level", NULL};
	json_t *body;
	int status;

	if (argc != 3)
		return complain_usage(argv[0], "a level and a path are needed");
	body = json_pack("{ss}", "level", argv[1]);
	request.body = body;
	status = body ? call(argv[2], &request, &text) : complain_usage(argv[0], "a level is a word");
	json_decref(body);
	return status;
}
