// the request may be freed by ngx_http_finalize_request()

@u exists@
expression r, e;
identifier m;
position p, q;
@@
 ngx_http_finalize_request@p(r, ...);
 ... when != return ...;
     when != r = e
 r@q->m

@script:python@
p << u.p;
q << u.q;
r << u.r;
@@
print("%s:%s: [finalize] %s is used after it was finalized in line %s"
      % (q[0].file, q[0].line, r, p[0].line))
