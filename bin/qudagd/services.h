/* services.h - commands on services (struct command): each sends its rows and ends |rq|. */
#ifndef QUDAG_BIN_SERVICES_H
#define QUDAG_BIN_SERVICES_H

#include "control.h"

/* Starts or changes the service "name" with the ports "port"; one row. */
void services_start(struct request *rq);
/* A row for each. */
void services_list(struct request *rq);
/* One row: the service "service", an address or a name. */
void services_status(struct request *rq);
/* Ends it; its address and keys stay. */
void services_remove(struct request *rq);

#endif
