# Gatepost on Debian 12. Mount the configuration at /etc/gatepost; it and the
# keys must be readable for user 10143.
#
#   docker build -t gatepost .
#   docker run -p 993:993 -p 143:143 -v /etc/gatepost:/etc/gatepost:ro gatepost

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/packages deploy/
RUN deploy/packages install --clean build
COPY . .
RUN DESTDIR=/out deploy/build release install/strip

FROM debian:bookworm-slim
COPY deploy/packages deploy/healthcheck /usr/local/lib/gatepost/
RUN /usr/local/lib/gatepost/packages install --clean run
COPY --from=build /out/ /
USER 10143:10143
EXPOSE 993 143
HEALTHCHECK --interval=30s --timeout=15s --start-period=10s \
    CMD ["/usr/local/lib/gatepost/healthcheck"]
ENTRYPOINT ["gatepost"]
CMD ["serve", "/etc/gatepost/gatepost.json"]
