/* Work that clients ask for: one function each, of type control_work (control.h says what it may do). */
#ifndef TOOTFS_CONTROL_VERBS_H
#define TOOTFS_CONTROL_VERBS_H

#include "control.h"

control_work control_sync; /* control_sync.c */

#endif
