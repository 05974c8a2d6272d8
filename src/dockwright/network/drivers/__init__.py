"""The kinds of network, each a `NetworkDriver`: bridge, null (`none`), macvlan and ipvlan; and what they share.

bridge     a Linux bridge         veth       pairs into namespaces      settings   the options of a bridge network
held       whose addresses are held
direct     macvlan and ipvlan     plain      a namespace with lo        interface  addresses and settings of a link inside
"""
