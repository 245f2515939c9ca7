// a function returns, and leaves a mutex of shared memory locked

@l exists@
expression m;
position p, q;
@@
 ngx_shmtx_lock@p(m);
 ... when != ngx_shmtx_unlock(m)
 return@q ...;

@script:python@
p << l.p;
q << l.q;
m << l.m;
@@
# a function that is called x_lock leaves it to its caller
if not p[0].current_element.endswith("_lock"):
    print("%s:%s: [lock] return with %s held since line %s"
          % (q[0].file, q[0].line, m, p[0].line))
