"""``ssgi-gateway doctor``: what is wrong between web server and gateway, in words, with the line that fixes it."""
