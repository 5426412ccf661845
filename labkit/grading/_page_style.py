"""How a page of feedback looks, in a light and in a dark theme, on a screen and on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --dim: #57606a; --page: #ffffff; --edge: #d0d7de;
  --soft: #f6f8fa; --yes: #0a5c2b; --no: #a3150d; --open: #6b4a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9da7b3; --page: #11151a;
  --edge: #3a424c; --soft: #1a2027; --yes: #6fdc93; --no: #ff9d94; --open: #f0c36a; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid var(--edge); }
caption, .text { overflow-wrap: anywhere; }
thead th { color: var(--dim); font-weight: 500; font-size: .9rem; }
tbody th { font-weight: 500; }
.yes { color: var(--yes); } .no { color: var(--no); } .open { color: var(--open); }
.yes, .no, .open { font-weight: 500; }
.note { border-left: 4px solid var(--open); background: var(--soft); padding: .2rem 1rem;
  overflow-wrap: anywhere; }
blockquote { margin: .5rem 0; padding: .6rem 1rem; background: var(--soft);
  border-left: 4px solid var(--edge); white-space: pre-wrap; overflow-wrap: anywhere; }
em { color: var(--dim); } details { margin-top: 1rem; color: var(--dim); } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dd { margin: 0; overflow-wrap: anywhere; } code { font-size: .85rem; }
@media (min-width: 40rem) { td:last-child, .yes, .no, .open { white-space: nowrap; } }
@media print { details { display: none; } main { max-width: none; } }
"""
