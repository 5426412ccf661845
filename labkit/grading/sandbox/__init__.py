"""What runs inside the grader's container: a keeper, and for each submission a relay and a child.

keeper   process 1, root: imports IPython once; forks, ends and cleans up; never reads a byte of a submission,
         so that no later one finds any in the memory that it inherits
relay    root: passes lines between the grader and the child, counts time and bytes
child    a user of its own: the learner's code, in a shell of IPython

On the stream from the grader: a line {"uid": …, "home": …, "limits": …} to the keeper; then lines to the
relay, each with a letter and a number: `q7 {…}` a request, `a8 {…}` the answer to a question, `e9` the end.
To the grader: `c {…}` what the child said, `x reason` that the child ended, and at last by the keeper
`k {"left": …}`. The child never has this stream. A line of its own begins with the number of the line that
it answers; all others are dropped.
"""
