"""Who waits for a free slot, in which order, and who is told at once that waiting would be in vain.

- :mod:`line`: the line of one provider, fair between tenants
- :mod:`pace`: how long answers take, so that nobody is given a slot too late
- :mod:`sharing`: processes in front of the same slots leave each other a part of them
- :mod:`bounds`: who may join a line, and what the others are told
- :mod:`waiting`: the lines of a process
- :mod:`place`: one request in line, and what ends its wait
"""
