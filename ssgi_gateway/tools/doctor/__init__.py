"""``ssgi-gateway doctor``: what is wrong between the web server and the gateway, in words, with the line that mends it."""
